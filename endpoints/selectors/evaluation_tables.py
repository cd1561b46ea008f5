"""Tables of evaluations: of many side by side, and of one in detail. Pure: evaluations with results in, tables out.

An evaluation without a result has empty cells. Called by pages, REST and experiments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final, Protocol

from mlplatform.core.result_table import Cell, Column, ResultTable
from mlplatform.core.text import text as _

BEST_WITHIN: Final = 0.0025
"""A value so near to the best of its row, relative to it, counts as best too."""
SLOW_FROM: Final = 1.2
"""A latency of so many times the median of its column is slow."""
K_TO: Final = 12
METRICS: Final[Mapping[str, str]] = {
    "accuracy": _("Accuracy"),
    "f1_weighted": _("F1 (weighted)"),
    "f1_macro": _("F1 (macro)"),
    "f1_micro": _("F1 (micro)"),
    "rmse": "RMSE",
    "mae": "MAE",
}
ERRORS: Final = frozenset({"rmse", "mae"})
"""Metrics whose smallest value is the best."""
LATENCIES: Final[Mapping[str, str]] = {
    "batch_mean_ms": _("Batch, mean"),
    "single_mean_ms": _("One row, mean"),
    "single_p50_ms": _("One row, p50"),
    "single_p90_ms": _("One row, p90"),
    "single_p99_ms": _("One row, p99"),
}
_BATCHES: Final[Mapping[str, str]] = {
    "batch_mean_ms": _("Batch, mean"),
    "batch_p50_ms": _("Batch, p50"),
    "batch_p90_ms": _("Batch, p90"),
    "batch_p99_ms": _("Batch, p99"),
}
_CLASS_SCORES: Final[Mapping[str, str]] = {
    "precision": _("Precision"),
    "recall": _("Recall"),
    "f1": _("F1"),
}
_MS: Final = "ms"


class Measured(Protocol):
    """What is asked of an evaluation; `result` as docs/formats.md describes it, None while there is none."""

    @property
    def name(self) -> str: ...
    @property
    def result(self) -> Any: ...


def accuracy_table(
    evaluations: Sequence[Measured],
    *,
    k_to: int = K_TO,
    metric: str | None = None,
    names: Sequence[str] | None = None,
) -> ResultTable:
    """A row per k from 1 to `k_to`, a column per evaluation. Marked `best`: within 0.25 % of the best of its row.

    A single evaluation is compared with nobody and has no mark. Without a k axis in any of them there is one row.

    Args:
        metric: One of `METRICS`; else accuracy, or RMSE where none has an accuracy.
        names: Titles of the columns in place of the evaluations' names.
    """
    titles = list(names or [evaluation.name for evaluation in evaluations])
    chosen = metric or _common_metric(evaluations)
    columns = [_values_by_k(evaluation, chosen, k_to) for evaluation in evaluations]
    ks = sorted({k for column in columns for k in column}, key=lambda k: k or 0)
    if any(k is not None for k in ks):
        ks = [k for k in ks if k is not None]
    rows = [
        (Cell(k), *_best_marked([column.get(k) for column in columns], smallest=chosen in ERRORS)) for k in ks
    ]
    keys = _different(titles)
    head = (
        Column("k", "k"),
        *(Column(key, title) for key, title in zip(keys, titles, strict=True)),
    )
    return ResultTable(head, tuple(rows))


def latency_table(evaluations: Sequence[Measured], *, names: Sequence[str] | None = None) -> ResultTable:
    """A row per evaluation, a column per latency. Marked `slow`: 20 % or more above the median of its column."""
    titles = list(names or [evaluation.name for evaluation in evaluations])
    found = [_part(evaluation, "latency") for evaluation in evaluations]
    columns = [_slow_marked([_number(latency.get(key)) for latency in found]) for key in LATENCIES]
    head = (
        Column("evaluation", _("Evaluation")),
        Column("batch_size", _("Rows per batch")),
        *(Column(key, title, _MS) for key, title in LATENCIES.items()),
        Column("rows_per_s", _("Rows per second")),
    )
    rows = [
        (
            Cell(title),
            Cell(latency.get("batch_size")),
            *(column[place] for column in columns),
            Cell(_number(latency.get("rows_per_s"))),
        )
        for place, (title, latency) in enumerate(zip(titles, found, strict=True))
    ]
    return ResultTable(head, tuple(rows))


def quality_table(evaluation: Measured) -> ResultTable:
    """Every metric of one evaluation with its interval, a row per k. Marked `best`: the best value of each metric."""
    quality = _part(evaluation, "quality")
    metrics = [name for name in METRICS if quality.get(name)]
    if not metrics:
        return ResultTable((Column("k", "k"),), ())
    ks = quality.get("k") or [None]
    columns: list[list[Cell]] = [[Cell(k) for k in ks]]
    head = [Column("k", "k")]
    for name in metrics:
        columns += _with_interval(quality, name, n_rows=len(ks))
        head += [
            Column(name, METRICS[name]),
            Column(f"{name}_low", _("from")),
            Column(f"{name}_high", _("to")),
        ]
    return ResultTable(tuple(head), tuple(zip(*columns, strict=True)))


def latency_measures(evaluation: Measured) -> ResultTable:
    """The latencies of one evaluation with their intervals, a row per measure."""
    latency = _part(evaluation, "latency")
    intervals = latency.get("intervals") or {}
    head = (
        Column("measure", _("Measure")),
        Column("value_ms", _("Value"), _MS),
        Column("low_ms", _("from"), _MS),
        Column("high_ms", _("to"), _MS),
        Column("n", _("Requests")),
    )
    rows = tuple(
        (
            Cell(name),
            Cell(_number(latency.get(name))),
            *map(Cell, _bounds(intervals.get(name))),
            Cell(latency.get("n_batches" if name.startswith("batch") else "n_single")),
        )
        for name in {**_BATCHES, **LATENCIES}
        if latency.get(name) is not None
    )
    return ResultTable(head, rows)


def classes_table(evaluation: Measured, *, k: int | None = None) -> ResultTable:
    """Precision, recall and F1 of every label at one k (see `detail_key`), with intervals."""
    classes = _detail(evaluation, "classes", k)
    head = [Column("label", _("Label")), Column("support", _("Rows"))]
    for name, title in _CLASS_SCORES.items():
        head += [
            Column(name, title),
            Column(f"{name}_low", _("from")),
            Column(f"{name}_high", _("to")),
        ]
    rows = tuple(
        (
            Cell(found["label"]),
            Cell(found["support"]),
            *(cell for name in _CLASS_SCORES for cell in _class_score(found, name)),
        )
        for found in classes or ()
    )
    return ResultTable(tuple(head), rows)


def confusion_table(evaluation: Measured, *, k: int | None = None) -> ResultTable:
    """A row per label, a column per prediction, how many rows at one k (see `detail_key`)."""
    labels = [str(label) for label in (evaluation.result or {}).get("labels") or ()]
    counts = _detail(evaluation, "confusions", k) or ()
    head = (
        Column("label", _("Label")),
        *(Column(key, label) for key, label in zip(_different(labels), labels, strict=True)),
    )
    rows = tuple((Cell(label), *map(Cell, row)) for label, row in zip(labels, counts, strict=False))
    return ResultTable(head, rows)


def detail_key(evaluation: Measured, part: str, *, k: int | None = None) -> str | None:
    """Under which key `classes` or `confusions` has that k; without a k the model's own, or the only one there is.

    None where the result has nothing for it.
    """
    there: Mapping[str, Any] = (evaluation.result or {}).get(part) or {}
    if k is not None:
        return str(k) if str(k) in there else None
    own = (getattr(evaluation, "summary", None) or {}).get("k")
    ranked = [str(own), "", *sorted(there, key=lambda key: int(key) if key.isdecimal() else 0, reverse=True)]
    return next((key for key in ranked if key in there), None)


def _detail(evaluation: Measured, part: str, k: int | None) -> Any:
    key = detail_key(evaluation, part, k=k)
    return None if key is None else evaluation.result[part][key]


def _class_score(found: Mapping[str, Any], name: str) -> tuple[Cell, Cell, Cell]:
    low, high = _bounds((found.get("intervals") or {}).get(name))
    return Cell(_number(found.get(name))), Cell(low), Cell(high)


def _part(evaluation: Measured, name: str) -> Mapping[str, Any]:
    return (evaluation.result or {}).get(name) or {}


def _common_metric(evaluations: Sequence[Measured]) -> str:
    qualities = [_part(evaluation, "quality") for evaluation in evaluations]
    return next((name for name in METRICS if any(quality.get(name) for quality in qualities)), "accuracy")


def _values_by_k(evaluation: Measured, metric: str, k_to: int) -> dict[int | None, float | None]:
    quality = _part(evaluation, "quality")
    values = quality.get(metric) or []
    ks: Sequence[int | None] = quality.get("k") or [None] * len(values)
    pairs = zip(ks, values, strict=False)
    return {k: _number(value) for k, value in pairs if k is None or k <= k_to}


def _best_marked(values: Sequence[float | None], *, smallest: bool) -> Iterator[Cell]:
    there = [value for value in values if value is not None]
    best = (min(there) if smallest else max(there)) if len(there) > 1 else None
    for value in values:
        near = best is not None and value is not None and abs(value - best) <= BEST_WITHIN * abs(best)
        yield Cell(value, "best" if near else "")


def _slow_marked(values: Sequence[float | None]) -> list[Cell]:
    there = [value for value in values if value is not None]
    limit = SLOW_FROM * median(there) if len(there) > 1 else None
    return [
        Cell(value, "slow" if limit is not None and value is not None and value >= limit > 0 else "")
        for value in values
    ]


def _with_interval(quality: Mapping[str, Any], name: str, *, n_rows: int) -> list[list[Cell]]:
    values = [_number(value) for value in quality[name]]
    there = [value for value in values if value is not None]
    best = (min(there) if name in ERRORS else max(there)) if len(there) > 1 else None
    intervals = (quality.get("intervals") or {}).get(name) or [None] * n_rows
    bounds = [_bounds(interval) for interval in intervals]
    return [
        [Cell(value, "best" if best is not None and value == best else "") for value in values],
        [Cell(low) for low, _high in bounds],
        [Cell(high) for _low, high in bounds],
    ]


def _bounds(interval: Any) -> tuple[float | None, float | None]:
    low, high = interval or (None, None)
    return _number(low), _number(high)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _different(titles: Sequence[str]) -> list[str]:
    """Keys of columns: the titles, those that occur again with their place."""
    return [
        title if titles.index(title) == place and title not in {"k", "label"} else f"{title} ({place + 1})"
        for place, title in enumerate(titles)
    ]
