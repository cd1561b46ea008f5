"""Whole evaluations, through a real gateway and a model server in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    mean_absolute_error,
    root_mean_squared_error,
)

from endpoints.evaluation import collected, planes
from endpoints.evaluation.evaluate import evaluate
from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.predictions import Predictions
from endpoints.evaluation.spec import EvaluationSpec
from mlplatform.core.text import from_json
from tests.endpoints.evaluation.conftest import Serve

SpecFor = Callable[..., EvaluationSpec]
K = 9


class Clouds:
    """Points around three centres, near enough to be confused; labels are `codes` of them."""

    def __init__(self, codes: tuple[float, ...] = (1, 2, 7), n: int = 120) -> None:
        chance = np.random.default_rng(4)
        which = chance.integers(0, len(codes), n)
        X = chance.normal(0, 2, (n, 2)) + np.array([[0, 0], [2, 2], [4, 0]])[which % 3]
        self.X = np.round(X, 2).astype(np.float32)
        self.y = np.array(codes)[which]
        self.train_X, self.train_y = self.X[: n // 2], self.y[: n // 2]
        self.test_X, self.test_y = self.X[n // 2 :], self.y[n // 2 :]

    @property
    def train(self) -> dict[str, Any]:
        return {"X": self.train_X.tolist(), "y": self.train_y.tolist(), "k": K}

    def table(self, labels: list[Any] | None = None) -> str:
        labels = self.test_y.tolist() if labels is None else labels
        rows = zip(self.test_X.tolist(), labels, strict=True)
        return "a,b,y\n" + "".join(f"{x[0]!r},{x[1]!r},{label}\n" for x, label in rows)

    def neighbours(self) -> np.ndarray:
        distances = ((self.test_X[:, None] - self.train_X[None]) ** 2).sum(axis=2)
        return self.train_y[np.argsort(distances, axis=1, kind="stable")[:, :K]]

    def by_k(self) -> np.ndarray:
        return np.stack([stats.mode(self.neighbours()[:, :k], axis=1).mode for k in range(1, K + 1)])


def _evaluated(spec: EvaluationSpec) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    said: list[dict[str, Any]] = []
    found = evaluate(spec, said.append)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found["summary"], found["result"], said


def _warnings(result: dict[str, Any]) -> list[str]:
    return [from_json(said) for said in result["warnings"]]


def _predictions(spec: EvaluationSpec) -> Predictions:
    content = Path(spec.result).read_bytes()
    return Predictions(lambda offset, size: content[offset : offset + size])


def test_scores_for_every_k_agree_with_scikit_learn(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    spec = spec_for(clouds.table())
    summary, result, _said = _evaluated(spec)
    quality = result["quality"]
    assert quality["k"] == list(range(1, K + 1))
    for place, predicted in enumerate(clouds.by_k()):
        assert quality["accuracy"][place] == accuracy_score(clouds.test_y, predicted)
        for average in ("weighted", "macro", "micro"):
            expected = f1_score(clouds.test_y, predicted, average=average, zero_division=0)
            assert quality[f"f1_{average}"][place] == pytest.approx(expected, rel=1e-12)
        expected_matrix = confusion_matrix(clouds.test_y, predicted, labels=[1, 2, 7]).tolist()
        assert result["confusions"][str(place + 1)] == expected_matrix
    assert result["labels"] == ["1", "2", "7"]
    assert (summary["kind"], summary["has_k"], summary["k"], summary["n_rows"]) == (
        "classification",
        True,
        K,
        60,
    )
    assert summary["best"] == max(quality["accuracy"])
    assert summary["k_best"] == quality["accuracy"].index(summary["best"]) + 1
    assert summary["value"] == quality["accuracy"][-1]
    assert summary["f1_macro"] == quality["f1_macro"][-1]
    for name, intervals in quality["intervals"].items():
        assert all(low <= value <= high for (low, high), value in zip(intervals, quality[name], strict=True))
    assert set(result["classes"]) == {"1", str(summary["k_best"]), str(K)}
    assert _warnings(result) == []


def test_rows_can_be_looked_up_afterwards(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    spec = spec_for(clouds.table())
    _evaluated(spec)
    by_k = clouds.by_k()
    wrong = _predictions(spec).rows(k=3, only_wrong=True, limit=1000)
    expected = [
        {"row": row + 1, "label": f"{y:g}", "prediction": f"{by_k[2][row]:g}", "correct": False}
        for row, y in enumerate(clouds.test_y)
        if by_k[2][row] != y
    ]
    assert wrong.rows == expected
    assert wrong.n_found == len(expected) > 0


def test_latency_has_every_batch_and_single_row(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    summary, result, said = _evaluated(spec_for(clouds.table()))
    latency = result["latency"]
    assert (latency["batch_size"], latency["n_single"]) == (9, 20)
    assert latency["n_batches"] in (6, 7)  # one may have been answered too soon to be timed
    assert latency["n_batches_sent"] == 7
    assert latency["n_batches"] == len(latency["batch_numbers"]) == len(latency["batch_ms"])
    assert latency["batch_numbers"] == sorted(set(latency["batch_numbers"]) & set(range(1, 8)))
    assert 0 < latency["single_p50_ms"] <= latency["single_p90_ms"] <= latency["single_p99_ms"]
    assert sum(latency["single_histogram"]["counts"]) == 20
    assert summary["single_mean_ms"] == latency["single_mean_ms"]
    assert said[0]["stage"] == "quality"
    assert said[-1]["stage"] == "statistics"
    assert all(line["n_rows"] == 60 for line in said)


def test_k_max_ends_the_scores_and_the_model_s_own_k_is_still_told(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    spec = spec_for(clouds.table(), k_max=4)
    summary, result, _said = _evaluated(spec)
    assert result["quality"]["k"] == [1, 2, 3, 4]
    assert summary["k"] == K
    assert summary["value"] == accuracy_score(clouds.test_y, clouds.by_k()[-1])
    assert set(result["confusions"]) == {"1", "2", "3", "4", str(K)}
    assert _predictions(spec).header.k == (1, 2, 3, 4, K)
    n_wrong = int((clouds.by_k()[-1] != clouds.test_y).sum())
    assert _predictions(spec).rows(k=K, only_wrong=True).n_found == n_wrong


def test_more_neighbours_than_there_are_is_told(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    with pytest.raises(RunFailed, match="k_max: 10 is more than the 9 neighbours"):
        _evaluated(spec_for(clouds.table(), k_max=10))


def test_a_regressor_has_errors_by_k(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds(codes=(1.5, -2, 7.25))
    serve(**clouds.train, kind="regressor")
    spec = spec_for(clouds.table(), is_classifier=False)
    summary, result, _said = _evaluated(spec)
    for k in range(1, K + 1):
        predicted = clouds.neighbours()[:, :k].mean(axis=1)
        rmse = root_mean_squared_error(clouds.test_y, predicted)
        assert result["quality"]["rmse"][k - 1] == pytest.approx(rmse, rel=1e-6)
        mae = mean_absolute_error(clouds.test_y, predicted)
        assert result["quality"]["mae"][k - 1] == pytest.approx(mae, rel=1e-6)
        low, high = result["quality"]["intervals"]["rmse"][k - 1]
        assert low < rmse < high
    assert (summary["metric"], summary["best"]) == ("rmse", min(result["quality"]["rmse"]))
    row = _predictions(spec).rows(k=1, limit=1).rows[0]
    assert row["error"] == row["prediction"] - row["label"]


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_an_engine_without_neighbours_has_no_k(serve: Serve, spec_for: SpecFor, kind: str) -> None:
    clouds = Clouds()
    serve(**clouds.train, neighbours=False, kind=kind)
    spec = spec_for(clouds.table(), is_classifier=kind == "classifier", k_max=3)
    summary, result, _said = _evaluated(spec)
    assert (summary["has_k"], summary["k_best"], summary["k"]) == (False, None, None)
    assert result["quality"]["k"] is None
    if kind == "classifier":
        assert result["quality"]["accuracy"] == [accuracy_score(clouds.test_y, clouds.by_k()[-1])]
        assert set(result["confusions"]) == set(result["classes"]) == {""}
    else:
        expected = root_mean_squared_error(clouds.test_y, clouds.neighbours().mean(axis=1))
        assert result["quality"]["rmse"] == [pytest.approx(expected, rel=1e-6)]
    assert _predictions(spec).header.k is None
    assert ["no neighbours" in said for said in _warnings(result)] == [True]


def test_rows_with_unequal_neighbours_have_no_k(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train, strange="uneven")
    table = clouds.table().splitlines(keepends=True)
    first = next(place for place, line in enumerate(table[1:], 1) if float(line.split(",")[0]) < 5)
    table[1], table[first] = table[first], table[1]
    summary, result, _said = _evaluated(spec_for("".join(table)))
    assert (summary["has_k"], len(result["quality"]["accuracy"])) == (False, 1)
    assert _warnings(result) == ["Not every row came with 9 neighbours: there are no scores by k"]


def test_predictions_that_are_not_their_neighbours_are_told(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train, strange="contrary")
    summary, result, _said = _evaluated(spec_for(clouds.table()))
    own = np.where(clouds.test_X[:, 0] > 5, clouds.neighbours().max(axis=1), clouds.by_k()[-1])
    n_differing = int((own != clouds.by_k()[-1]).sum())
    assert n_differing > 0
    assert f": {n_differing}. " in _warnings(result)[0]
    assert summary["value"] == result["quality"]["accuracy"][-1] == accuracy_score(clouds.test_y, own)


def test_text_labels_are_compared_by_name(serve: Serve, spec_for: SpecFor) -> None:
    """The table has other codes than the model; one of its labels the model never saw."""
    clouds = Clouds(codes=(0, 1, 2))
    serve(**clouds.train)
    names = ["ash", "beech", "cedar"]
    labels = [names[int(code)] for code in clouds.test_y]
    labels[:4] = ["yew"] * 4
    schema = {"types": ["fractional", "fractional", "text"]}
    schema |= {"label_mapping": {"yew": 0, "cedar": 1, "beech": 2, "ash": 3}}
    model_labels = {name: code for code, name in enumerate(names)}
    summary, result, _said = _evaluated(
        spec_for(clouds.table(labels), schema=schema, model_labels=model_labels)
    )
    assert result["labels"] == [*names, "yew"]
    predicted = [names[int(code)] for code in clouds.by_k()[-1]]
    assert summary["value"] == accuracy_score(labels, predicted)
    assert summary["f1_macro"] == pytest.approx(f1_score(labels, predicted, average="macro", zero_division=0))
    assert _warnings(result) == ["Rows with labels that the model never saw (yew): 4. They count as wrong."]


def test_labels_of_which_the_model_knows_none_are_refused(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds(codes=(0, 1, 2))
    serve(**clouds.train)
    with pytest.raises(
        RunFailed, match=r"never saw any of the dataset's labels \(11, 12\); it knows ash, beech"
    ):
        labels = [11, 12] * 30
        _evaluated(spec_for(clouds.table(labels), model_labels={"ash": 0, "beech": 1, "cedar": 2}))


def test_labels_that_no_answer_has_are_told(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    labels = clouds.test_y.tolist()
    labels[:2] = [9, 9]
    summary, result, _said = _evaluated(spec_for(clouds.table(labels)))
    assert summary["value"] == accuracy_score(labels, clouds.by_k()[-1])
    assert len(_warnings(result)) == 1
    assert _warnings(result)[0].startswith("Rows with labels that no answer has (9): 2. They count as wrong")


def test_labels_that_are_all_of_another_coding_are_refused(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    with pytest.raises(RunFailed, match=r"No answer has any of the dataset's labels \(11, 12\); .* 1, 2, 7"):
        _evaluated(spec_for(clouds.table([11, 12] * 30)))


def test_a_regressor_is_not_compared_with_texts(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train, kind="regressor")
    schema = {"types": ["fractional", "fractional", "text"], "label_mapping": {"ash": 0, "beech": 1}}
    with pytest.raises(RunFailed, match=r"labels are text \(ash, beech\); the model predicts a number"):
        _evaluated(spec_for(clouds.table(["ash", "beech"] * 30), schema=schema, is_classifier=False))


def test_rows_without_a_label_are_sent_and_not_scored(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    labels: list[Any] = clouds.test_y.tolist()
    labels[3] = labels[50] = ""
    spec = spec_for(clouds.table(labels))
    summary, result, _said = _evaluated(spec)
    kept = [row for row in range(60) if row not in (3, 50)]
    assert summary["value"] == accuracy_score(clouds.test_y[kept], clouds.by_k()[-1][kept])
    assert summary["n_rows"] == 60
    assert _warnings(result) == ["Rows without a label, which are not scored: 2"]
    assert _predictions(spec).rows(offset=3, limit=1).rows[0]["label"] is None


@pytest.mark.parametrize("schema", [{}, {"label": None}])
def test_a_table_without_labels_has_its_latency(
    serve: Serve, spec_for: SpecFor, schema: dict[str, Any]
) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    table = "".join(
        line.rpartition(",")[0] + ("," if not schema else "") + "\n" for line in clouds.table().splitlines()
    )
    table = table.replace("a,b,\n", "a,b,y\n")
    spec = spec_for(table, schema=schema)
    summary, result, _said = _evaluated(spec)
    assert (summary["kind"], summary["n_rows"], result["quality"]) == ("unlabelled", 60, None)
    assert summary["single_mean_ms"] > 0
    assert not Path(spec.result).exists()


def test_few_rows_make_few_batches(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    table = "".join(clouds.table().splitlines(keepends=True)[:2])
    summary, result, _said = _evaluated(spec_for(table, batches=100, single_requests=5))
    assert (summary["n_rows"], result["latency"]["n_batches"], result["latency"]["n_single"]) == (1, 1, 5)
    assert _warnings(result) == ["Batches are as many as the dataset has rows: 1, not 100"]


def test_scores_end_where_there_is_no_room(
    serve: Serve, spec_for: SpecFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planes, "PLANES_MAX_BYTES", 60 * 2 * 3)
    clouds = Clouds()
    serve(**clouds.train)
    summary, result, _said = _evaluated(spec_for(clouds.table()))
    assert result["quality"]["k"] == [1, 2, 3]
    assert summary["value"] == accuracy_score(clouds.test_y, clouds.by_k()[-1])
    assert _warnings(result) == ["Scores end at k = 3: predictions for more would be too much for 60 rows"]


def test_an_answer_of_another_kind_is_refused(serve: Serve, spec_for: SpecFor) -> None:
    serve("Wrong")
    with pytest.raises(RunFailed, match="no predicted label"):
        _evaluated(spec_for(Clouds().table()))


def test_what_the_endpoint_refuses_is_told_with_the_row_of_the_dataset(
    serve: Serve, spec_for: SpecFor
) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    lines = clouds.table().splitlines()
    lines[40] = ",1,1"
    with pytest.raises(RunFailed, match=r"400: row 40 of the dataset: .*nan"):
        _evaluated(spec_for("\n".join(lines)))


def test_an_endpoint_that_is_gone_is_told(serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    with pytest.raises(RunFailed, match="answered 404: endpoint 'tulips' was not found"):
        _evaluated(spec_for(clouds.table(), endpoint="tulips"))


def test_a_result_of_many_k_and_labels_stays_small(serve: Serve, spec_for: SpecFor, tmp_path: Path) -> None:
    chance = np.random.default_rng(5)
    n, k = 1500, 1024
    X, y = chance.normal(0, 1, (n, 2)).round(3), chance.integers(0, 90, n)
    serve(X=X.tolist(), y=y.tolist(), k=k)
    rows = zip(X.tolist(), y.tolist(), strict=True)
    spec = spec_for("a,b,y\n" + "".join(f"{x[0]},{x[1]},{label}\n" for x, label in rows), single_requests=5)
    found = evaluate(spec, lambda progress: None)
    assert len(found["result"]["quality"]["k"]) == k
    assert len(json.dumps(found["result"])) < 1_000_000
    assert (tmp_path / "run" / collected.PLANES_FILE).stat().st_size == n * k * 2
