"""Tables of evaluations as data: values, marks, keys, and what there is without a result."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from endpoints.selectors.evaluation_tables import (
    accuracy_table,
    classes_table,
    confusion_table,
    detail_key,
    latency_measures,
    latency_table,
    quality_table,
)
from mlplatform.core.result_table import ResultTable


@dataclass
class Measured:
    name: str
    result: dict[str, Any] | None = None
    summary: dict[str, Any] = field(default_factory=dict)


def by_k(name: str, *accuracy: float, metric: str = "accuracy") -> Measured:
    ks = list(range(1, len(accuracy) + 1))
    intervals = {metric: [[value - 0.1, value + 0.1] for value in accuracy]}
    quality = {"k": ks, metric: list(accuracy), "intervals": intervals, "confidence": 0.95}
    return Measured(name, {"quality": quality})


def timed(name: str, mean_ms: float, p99_ms: float | None = 9.0) -> Measured:
    latency = {
        "batch_size": 581,
        "n_batches": 100,
        "n_single": 2000,
        "batch_mean_ms": 60.0,
        "single_mean_ms": mean_ms,
        "single_p50_ms": 1.0,
        "single_p90_ms": 2.0,
        "single_p99_ms": p99_ms,
        "rows_per_s": 9500.0,
        "intervals": {"single_mean_ms": [mean_ms - 0.1, mean_ms + 0.1]},
    }
    return Measured(name, {"latency": latency})


def marks(table: ResultTable, mark: str) -> list[tuple[int, str]]:
    return [(at["row"], at["column"]) for at in table.to_json()["marks"] if at["mark"] == mark]


def test_a_row_per_k_a_column_per_evaluation_and_only_so_many_k() -> None:
    table = accuracy_table([by_k("flat", *[0.9] * 20), by_k("ivfpq", 0.8, 0.7)])
    assert [column.key for column in table.columns] == ["k", "flat", "ivfpq"]
    assert [row["k"] for row in table.records()] == list(range(1, 13))
    assert table.records()[1] == {"k": 2, "flat": 0.9, "ivfpq": 0.7}
    assert table.records()[2]["ivfpq"] is None


def test_values_within_a_quarter_of_a_percent_of_the_best_of_their_row_are_marked() -> None:
    table = accuracy_table([by_k("a", 0.8000, 0.9), by_k("b", 0.7981, 0.9), by_k("c", 0.7979, 0.5)])
    assert marks(table, "best") == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]


def test_of_errors_the_smallest_is_the_best() -> None:
    table = accuracy_table([by_k("a", 2.0, metric="rmse"), by_k("b", 1.0, metric="rmse")])
    assert marks(table, "best") == [(0, "b")]


def test_a_single_evaluation_is_compared_with_nobody() -> None:
    assert marks(accuracy_table([by_k("a", 0.8, 0.9)]), "best") == []
    assert marks(latency_table([timed("a", 1.0)]), "slow") == []


def test_evaluations_of_one_name_have_columns_of_their_own() -> None:
    table = accuracy_table([by_k("a", 0.8), by_k("b", 0.9)], names=["cell", "cell"])
    assert table.records() == [{"k": 1, "cell": 0.8, "cell (2)": 0.9}]


def test_without_k_there_is_one_row_and_beside_one_with_k_nothing() -> None:
    no_k = Measured("svm", {"quality": {"k": None, "accuracy": [0.7]}})
    assert accuracy_table([no_k, no_k]).records() == [{"k": None, "svm": 0.7, "svm (2)": 0.7}]
    assert accuracy_table([no_k, by_k("knn", 0.8)]).records() == [{"k": 1, "svm": None, "knn": 0.8}]


@pytest.mark.parametrize(("mean_ms", "is_slow"), [(1.19, False), (1.2, True), (5.0, True)])
def test_latencies_from_a_fifth_above_the_median_of_their_column_are_slow(
    mean_ms: float, is_slow: bool
) -> None:
    table = latency_table([timed("a", 1.0), timed("b", 1.0), timed("c", mean_ms)])
    assert marks(table, "slow") == ([(2, "single_mean_ms")] if is_slow else [])
    assert table.records()[0]["batch_size"] == 581


def test_an_evaluation_without_a_result_has_empty_cells() -> None:
    table = latency_table([timed("a", 1.0), Measured("b"), timed("c", 1.0, p99_ms=None)])
    assert table.records()[1]["single_mean_ms"] is None
    assert table.records()[2]["single_p99_ms"] is None
    assert accuracy_table([Measured("b")]).rows == ()
    for empty in (quality_table, latency_measures, classes_table, confusion_table):
        assert not empty(Measured("b"))


def test_the_quality_of_one_has_every_metric_with_its_interval_and_its_best_k() -> None:
    found = by_k("a", 0.8, 0.9, 0.85)
    assert found.result is not None
    found.result["quality"] |= {"f1_macro": [0.5, 0.4, 0.3], "intervals": {}}
    table = quality_table(found)
    assert table.records()[0] == {
        "k": 1,
        "accuracy": 0.8,
        "accuracy_low": None,
        "accuracy_high": None,
        "f1_macro": 0.5,
        "f1_macro_low": None,
        "f1_macro_high": None,
    }
    assert marks(table, "best") == [(0, "f1_macro"), (1, "accuracy")]
    assert quality_table(by_k("a", 0.8)).records()[0]["accuracy_low"] == pytest.approx(0.7)


def test_the_latency_of_one_has_a_row_per_measure() -> None:
    rows = {row["measure"]: row for row in latency_measures(timed("a", 1.0, p99_ms=None)).records()}
    assert set(rows) == {"batch_mean_ms", "single_mean_ms", "single_p50_ms", "single_p90_ms"}
    assert rows["single_mean_ms"]["n"] == 2000 and rows["batch_mean_ms"]["n"] == 100
    assert (rows["single_mean_ms"]["low_ms"], rows["single_mean_ms"]["high_ms"]) == (0.9, 1.1)


def _with_details() -> Measured:
    classes = {
        k: [
            {
                "label": "k",
                "precision": 1.0,
                "recall": 0.5,
                "f1": 0.6,
                "support": 4,
                "intervals": {"f1": [0.5, 0.7]},
            }
        ]
        for k in ("1", "100")
    }
    confusions = {"1": [[3, 1], [0, 2]], "3": [[4, 0], [0, 2]], "100": [[2, 2], [1, 1]]}
    result = {"labels": ["k", "=2"], "confusions": confusions, "classes": classes}
    return Measured("a", result, {"k": 100})


def test_details_are_those_of_the_model_s_own_k_unless_another_is_asked_for() -> None:
    found = _with_details()
    assert detail_key(found, "confusions") == "100"
    assert detail_key(found, "confusions", k=3) == "3"
    assert detail_key(found, "classes", k=3) is None
    assert confusion_table(found).records()[0] == {"label": "k", "k (1)": 2, "=2": 2}
    assert confusion_table(found, k=1).records()[1] == {"label": "=2", "k (1)": 0, "=2": 2}
    assert not classes_table(found, k=3)
    assert classes_table(found).records()[0]["f1_high"] == 0.7
    found.summary["k"] = None
    assert detail_key(found, "confusions") == "100", "the largest there is"


def test_a_table_is_json_and_csv() -> None:
    table = confusion_table(_with_details(), k=1)
    assert json.loads(json.dumps(table.to_json()))["rows"][0]["=2"] == 1
    text = b"".join(table.to_csv(bom=False)).decode()
    assert text.splitlines()[:2] == ["label,k (1),'=2", "k,3,1"]
