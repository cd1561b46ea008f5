"""The tutorial of ensembles by REST alone: a script, tuned, the best served by nobody until somebody asks."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from tests.journeys.street import Street, unique
from tests.live import ROOT
from tests.polling import wait_until

EXAMPLE = ROOT / "docs" / "examples" / "ensemble"
WITHIN_S = 240.0
METRICS = [
    {"name": name, "regex": f"^{name.replace(':', '-')}:([0-9\\.]+)"}
    for name in ("validation:rmse", "validation:catboost-rmse", "validation:xgboost-rmse")
]


@pytest.fixture(scope="module")
def diabetes(street: Street) -> str:
    """scikit-learn's diabetes data as a CSV file with a header, label last, as the tutorial writes it."""
    table = load_diabetes()
    name = unique("diabetes")
    lines = [",".join([*table.feature_names, "target"])]
    lines += [
        ",".join(map(repr, [*row, label]))
        for row, label in zip(table.data.tolist(), table.target.tolist(), strict=True)
    ]
    street.dataset(name, "\n".join(lines).encode(), label="target", filename="diabetes.csv")
    return name


@pytest.fixture(scope="module")
def source(street: Street) -> str:
    """The example's folder, uploaded."""
    files = {path.name: path.read_text() for path in sorted(EXAMPLE.iterdir()) if path.is_file()}
    answer = street.post("sources/", {"files": files})
    assert answer.status == 201, answer.text
    assert [file["path"] for file in answer.json["files"]] == sorted(files)
    return str(answer.json["uid"])


def script_of(source: str) -> dict[str, Any]:
    return {"framework": "sklearn", "entry_point": "train.py", "source": source}


def means(archive: bytes, folder: Path, rows: np.ndarray) -> np.ndarray:
    """What both saved models say, in the mean: read with their own libraries from the model's archive."""
    import catboost
    import xgboost

    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    first = catboost.CatBoostRegressor()
    first.load_model(folder / "catboost.cbm")
    second = xgboost.Booster()
    second.load_model(folder / "xgboost.json")
    return (first.predict(rows) + second.predict(xgboost.DMatrix(rows))) / 2


def test_script_tuning_and_a_serverless_endpoint(
    street: Street, diabetes: str, source: str, tmp_path: Path
) -> None:
    # One job of the script.
    job = unique("ensemble")
    asked = {
        "name": job,
        "script": script_of(source),
        "channels": {"train": {"dataset": diabetes}},
        "hyperparameters": {"n_folds": 3, "num_round": 30, "eta": 0.25, "max_depth": 3},
        "metric_definitions": METRICS,
    }
    answer = street.post("training-jobs/", asked)
    assert answer.status == 201, answer.text
    ended = street.job_ended(job)
    assert ended["status"] == "Completed", f"{ended['failure']}\n{street.log(job)}"
    assert "fold 2: catboost-rmse:" in street.log(job)
    blended, apart = ended["final_metrics"]["validation:rmse"], ended["final_metrics"]
    assert 40 < blended < max(apart["validation:catboost-rmse"], apart["validation:xgboost-rmse"])
    assert ended["output"]["size_bytes"] > 0

    # Tuned: four jobs, two at a time.
    tuning = unique("tune")
    request = {
        "name": tuning,
        "script": script_of(source),
        "channels": {"train": {"dataset": diabetes}},
        "static_hyperparameters": {"n_folds": 3, "num_round": 30},
        "metric_definitions": METRICS,
        "objective_metric": "validation:rmse",
        "objective_type": "Minimize",
        "ranges": [
            {"name": "eta", "type": "Continuous", "min": 0.2, "max": 0.3},
            {"name": "max_depth", "type": "Integer", "min": 3, "max": 4},
        ],
        "max_jobs": 4,
        "max_parallel_jobs": 2,
        "random_seed": 1,
    }
    answer = street.post("tuning-jobs/", request)
    assert answer.status == 201, answer.text
    wait_until(
        lambda: street.get(f"tuning-jobs/{tuning}/").json["status"] not in {"InProgress", "Stopping"},
        timeout_s=WITHIN_S,
        every_s=0.2,
        what=lambda: street.get(f"tuning-jobs/{tuning}/").text,
    )
    found = street.get(f"tuning-jobs/{tuning}/").json
    assert found["status"] == "Completed", found
    trials = street.get(f"tuning-jobs/{tuning}/trials/").json["items"]
    assert len(trials) == 4
    for trial in trials:
        assert trial["status"] == "Completed", trial
        assert 0.2 <= float(trial["hyperparameters"]["eta"]) <= 0.3 and trial["hyperparameters"][
            "max_depth"
        ] in {
            "3",
            "4",
        }
        tried = street.job(trial["training_job"])
        assert tried["hyperparameters"]["eta"] == trial["hyperparameters"]["eta"]
        assert tried["final_metrics"]["validation:rmse"] == trial["value"]
    best = found["best_training_job"]
    assert best["value"] == min(trial["value"] for trial in trials)

    # The best, served where nothing runs while nobody asks.
    endpoint = unique("ensemble")
    street.model(endpoint, job=best["name"])
    street.endpoint_in_service(
        endpoint,
        {"model": endpoint, "serverless": {"memory_mb": 6144, "max_concurrency": 1, "idle_after_s": 5}},
    )
    rows = load_diabetes().data[:20].astype(np.float32)
    archive = street.get(f"training-jobs/{best['name']}/artifact/").body
    expected = means(archive, tmp_path, rows)
    body = "\n".join(",".join(map(repr, row)) for row in rows.tolist())
    warm = street.invoke(endpoint, body)
    assert warm.status == 200, warm.text
    assert np.allclose(warm.json["predictions"], expected, rtol=1e-6, atol=1e-4)
    wait_until(
        lambda: street.endpoint(endpoint)["replicas"] == [],
        timeout_s=60,
        what=lambda: str(street.endpoint(endpoint)),
    )
    cold = street.invoke(endpoint, body)
    assert cold.status == 200, cold.text
    assert float(cold.headers["x-mlplatform-cold-start"]) > 0
    assert cold.json == warm.json
    street.delete(f"endpoints/{endpoint}/")
    wait_until(lambda: street.get(f"endpoints/{endpoint}/").status == 404, timeout_s=30)
    costs = street.get("costs/").json
    assert {"training_job", "tuning_job"} <= {one["kind"] for one in costs["spent"]}
