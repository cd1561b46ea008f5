"""Every form a table may come in, from upload to prediction; and every index that k-NN has."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.journeys.street import Street, unique

pytestmark = pytest.mark.once

FRUIT = ("りんご", "みかん", "ぶどう")


def fruit_rows() -> list[tuple[float, float, str]]:
    """Three kinds of fruit, far from each other in weight and width."""
    return [(100.0 * kind + n, 10.0 * kind + n / 10, FRUIT[kind]) for n in range(20) for kind in range(3)]


def as_csv(rows: list[tuple[float, float, str]], *, header: str = "重さ,幅,種類") -> str:
    return "\n".join([*([header] if header else []), *(f"{a},{b},{name}" for a, b, name in rows)]) + "\n"


def as_parquet(rows: list[tuple[float, float, str]]) -> bytes:
    weights, widths, names = zip(*rows, strict=True)
    out = io.BytesIO()
    pq.write_table(pa.table({"重さ": weights, "幅": widths, "種類": names}), out)
    return out.getvalue()


def as_json_lines(rows: list[tuple[float, float, str]]) -> bytes:
    lines = (json.dumps({"重さ": a, "幅": b, "種類": name}, ensure_ascii=False) for a, b, name in rows)
    return "\n".join(lines).encode()


CONTENTS = {
    "utf8": (as_csv(fruit_rows()).encode(), {"label": "種類"}, "csv", "utf-8"),
    "bom": (as_csv(fruit_rows()).encode("utf-8-sig"), {"label": "種類"}, "csv", "utf-8"),
    "cp932": (as_csv(fruit_rows()).encode("cp932"), {"label": "種類"}, "csv", "cp932"),
    "crlf": (as_csv(fruit_rows()).replace("\n", "\r\n").encode(), {"label": "種類"}, "csv", "utf-8"),
    "semicolon": (as_csv(fruit_rows()).replace(",", ";").encode(), {"label": "種類"}, "csv", "utf-8"),
    "headerless": (
        as_csv(fruit_rows(), header="").encode(),
        {"label": "2", "header": "false"},
        "csv",
        "utf-8",
    ),
    "gzip": (gzip.compress(as_csv(fruit_rows()).encode()), {"label": "種類"}, "csv", "utf-8"),
    "parquet": (as_parquet(fruit_rows()), {"label": "種類"}, "parquet", ""),
    "jsonlines": (as_json_lines(fruit_rows()), {"label": "種類"}, "jsonlines", ""),
}


END_TO_END = ("cp932", "headerless", "parquet", "jsonlines")


@pytest.fixture(scope="module", params=CONTENTS)
def form(request: pytest.FixtureRequest, street: Street) -> str:
    """The name of a form, and of a dataset uploaded in it."""
    name = str(request.param)
    content, fields, _, _ = CONTENTS[name]
    street.dataset(name, content, filename=f"{name}.dat", **fields)
    return name


def test_a_table_in_any_form_is_understood(street: Street, form: str) -> None:
    content, _, kind, encoding = CONTENTS[form]
    dataset = street.get(f"datasets/{form}/").json
    assert (dataset["rows"], dataset["n_columns"], dataset["format"]) == (60, 3, kind)
    assert dataset["label_mapping"] == {name: code for code, name in enumerate(sorted(FRUIT))}
    version = street.get(f"datasets/{form}/versions/").json["items"][0]
    assert not encoding or version["encoding"].lower().replace("-sig", "") == encoding
    if form != "headerless":
        assert [column["name"] for column in dataset["columns"]] == ["重さ", "幅", "種類"]
    assert street.get(f"datasets/{form}/preview/").json["rows"][1][2] == "みかん"
    assert street.get(f"datasets/{form}/download/").body == content


def test_a_job_learns_from_a_table_in_any_form(street: Street, form: str) -> None:
    job = street.job_completed(form, train=form, test=form)
    assert job["final_metrics"]["test:accuracy"] == 1.0


@pytest.mark.parametrize("name", END_TO_END)
def test_labels_of_text_come_back_as_text_from_the_endpoint(street: Street, name: str) -> None:
    content, fields, _, _ = CONTENTS[name]
    own = unique(name)
    street.dataset(own, content, **fields)
    street.served(own, train=own)
    labels = street.get(f"models/{own}/").json["labels"]
    assert labels == sorted(FRUIT)
    code = street.invoke(own, "205,20.5").json["predictions"][0]["predicted_label"]
    assert labels[int(code)] == "ぶどう"
    run, rows = street.table(own, own)
    assert run["summary"]["n_correct"] == 60
    assert {row["prediction"] for row in rows} == set(FRUIT)
    assert rows[0]["label"] == "りんご"
    street.gone(own)


def test_numbers_as_labels_stay_numbers(street: Street) -> None:
    content = b"label,a,b\n" + b"".join(b"%d,%d,%d\n" % (n % 2 * 7, n % 2 * 100 + n, n) for n in range(40))
    assert street.dataset("sevens", content, label="label")["label_mapping"] is None
    street.served("sevens", train="sevens", test="sevens")
    assert street.invoke("sevens", "120,20").json["predictions"] == [{"predicted_label": 7.0}]
    run, rows = street.table("sevens", "sevens")
    assert run["summary"]["accuracy"] == 1.0
    assert {str(row["prediction"]) for row in rows} <= {"0", "7", "0.0", "7.0"}
    street.gone("sevens")


def test_a_regressor_on_the_diabetes_sample(street: Street) -> None:
    assert street.post("datasets/", {"name": "diabetes-knn", "sample": "diabetes"}).status == 201
    made = street.post(
        "datasets/diabetes-knn/split/", {"fractions": {"train": 0.75, "test": 0.25}, "seed": 0}
    )
    assert [part["rows"] for part in made.json["items"]] == [331, 111]
    job = street.served(
        "diabetes",
        train="diabetes-knn-train",
        test="diabetes-knn-test",
        hyperparameters={"predictor_type": "regressor", "k": 10},
    )
    error = job["final_metrics"]["test:mse"]
    run, rows = street.table("diabetes", "diabetes-knn-test")
    assert run["summary"]["kind"] == "regression"
    assert run["summary"]["rmse"] ** 2 == pytest.approx(error, rel=1e-4)
    assert error < 5000  # the mean alone gives about 6,300
    assert sum(row["error"] ** 2 for row in rows) / len(rows) == pytest.approx(error, rel=1e-4)
    street.gone("diabetes")


@pytest.mark.parametrize("sample", ["digits", "wine", "breast-cancer"])
def test_every_sample_trains(street: Street, sample: str) -> None:
    names = {item.replace("_", "-"): item for item in _samples(street)}
    assert street.post("datasets/", {"name": sample, "sample": names[sample]}).status == 201
    job = street.job_completed(
        unique(sample), train=sample, test=sample, hyperparameters={"sample_size": 2000}
    )
    assert job["final_metrics"]["test:accuracy"] == 1.0


def _samples(street: Street) -> list[str]:
    """The samples, as the refusal of one that is not there lists them."""
    answer = street.post("datasets/", {"name": "none", "sample": "none"})
    return [word.strip(" .'\"") for word in answer.json["detail"].rpartition("use one of")[2].split(",")]


@pytest.fixture(scope="module")
def cloud(street: Street) -> str:
    """600 rows in 8 dimensions: three clusters in different directions, so that every metric tells them apart."""
    import random

    draw = random.Random(3)
    lines = []
    for n in range(600):
        kind = n % 3
        cells = [f"{draw.gauss(5.0 if d % 3 == kind else 0.0, 0.5):.3f}" for d in range(8)]
        lines.append(",".join([str(kind), *cells]))
    street.dataset("cloud", "\n".join(lines).encode(), header="false", label="0")
    return "cloud"


FLAT, IVF, PQ = "faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ"
METRICS = ("L2", "COSINE", "INNER_PRODUCT")
KINDS: list[dict[str, Any]] = [
    *({"index_type": FLAT, "index_metric": metric} for metric in METRICS),
    *({"index_type": IVF, "index_metric": metric} for metric in METRICS),
    {"index_type": PQ, "faiss_index_pq_m": 4, "faiss_index_ivf_nlists": 4},
    {"index_type": FLAT, "dimension_reduction_type": "sign", "dimension_reduction_target": 4},
    {"index_type": FLAT, "dimension_reduction_type": "fjlt", "dimension_reduction_target": 4},
    {
        "index_type": PQ,
        "faiss_index_pq_m": 2,
        "dimension_reduction_type": "fjlt",
        "dimension_reduction_target": 6,
    },
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_every_index_and_metric_trains_serves_and_answers(
    street: Street, cloud: str, kind: dict[str, Any]
) -> None:
    name = unique("index")
    job = street.served(name, train=cloud, test=cloud, hyperparameters=kind | {"k": 5})
    assert job["final_metrics"]["test:accuracy"] > 0.95
    answer = street.invoke(name, "0,5,0,0,5,0,0,5", accept="application/json; verbose=true")
    found = answer.json["predictions"][0]
    assert found["predicted_label"] == 1.0
    assert found["distances"] == sorted(
        found["distances"], reverse=kind.get("index_metric") == "INNER_PRODUCT"
    )
    street.gone(name)


def test_pipe_mode_learns_the_same_as_file_mode(street: Street) -> None:
    results = []
    for mode in ("File", "Pipe"):
        channels = {part: {"dataset": f"iris-{part}", "input_mode": mode} for part in ("train", "test")}
        job = street.job_completed(unique(mode.lower()), train="-", channels=channels)
        results.append(job["final_metrics"]["test:accuracy"])
        assert job["channels"]["train"]["input_mode"] == mode
    assert results == [37 / 38, 37 / 38]


def test_a_sample_smaller_than_the_data_is_what_the_model_keeps(street: Street) -> None:
    job = street.job_completed(unique("sample"), train="iris-train", hyperparameters={"sample_size": 20})
    assert "data=(20, 4)" in street.log(job["name"])
