"""Evaluations as runs to be compared, the curves of their scores by k, and one door to runs of either kind.

A fixed number of queries for any number of runs; of the evaluations' large results only the asked-for scores are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from django.db.models.fields.json import KeyTransform
from django.utils.translation import ngettext

from endpoints.models import Evaluation
from endpoints.selectors.evaluations import evaluations_matching
from jobs.comparison.runs import Curve, Interval, Run, finite_metrics
from jobs.comparison.selection import Candidate, Selection, names_shown, number_check
from jobs.selectors.comparison import (
    training_job_candidates,
    training_job_curve_metrics,
    training_job_curves,
    training_job_runs,
)
from jobs.selectors.selected import rows_selected
from mlplatform.core.people.access import Actor

CANDIDATES: Final = 12
QUALITIES: Final = {
    "classification": ("accuracy", "f1_weighted", "f1_macro", "f1_micro"),
    "regression": ("rmse", "mae"),
}
_MEASURED: Final = [
    "f1_weighted",
    "f1_macro",
    "f1_micro",
    "batch_mean_ms",
    "single_mean_ms",
    "single_p50_ms",
    "single_p90_ms",
    "single_p99_ms",
    "rows_per_s",
]


class RunKind(StrEnum):
    """What can be compared, as addresses have it."""

    TRAINING_JOBS = "training-jobs"
    EVALUATIONS = "evaluations"


def comparison_runs(*, actor: Actor, kind: RunKind, selection: Selection) -> list[Run]:
    """The selected runs, 2 to 500 of them.

    Raises:
        RunsNotFound: A name is not there, or another project's.
        InvalidRequest: Too few or too many, or an unknown status.
    """
    runs = runs_selected(actor=actor, kind=kind, selection=selection)
    number_check(len(runs))
    return runs


def runs_selected(*, actor: Actor, kind: RunKind, selection: Selection) -> list[Run]:
    """The same where it may be fewer: none or one, as on a page where runs are still being chosen."""
    read = evaluation_runs if kind is RunKind.EVALUATIONS else training_job_runs
    return read(actor=actor, selection=selection)


def comparison_candidates(
    *, actor: Actor, kind: RunKind, search: str = "", besides: Sequence[str] = (), limit: int = CANDIDATES
) -> list[Candidate]:
    """Runs that could be compared with those in `besides`, the likeliest first."""
    read = evaluation_candidates if kind is RunKind.EVALUATIONS else training_job_candidates
    return read(actor=actor, search=search, besides=besides, limit=limit)


def comparison_curve_metrics(*, actor: Actor, kind: RunKind, names: Sequence[str]) -> list[str]:
    """The metrics of these runs that have more than one point, so that there is a curve to draw."""
    if kind is RunKind.EVALUATIONS:
        return _qualities(actor, names)
    longest = training_job_curve_metrics(actor=actor, names=names)
    return [name for name, n_points in longest.items() if n_points > 1]


def comparison_curves(*, actor: Actor, kind: RunKind, names: Sequence[str], metric: str) -> list[Curve]:
    """One metric of each run: of jobs by step, of evaluations by k. Runs without it are left out."""
    read = evaluation_curves if kind is RunKind.EVALUATIONS else training_job_curves
    return read(actor=actor, names=names, metric=metric)


def evaluation_runs(*, actor: Actor, selection: Selection) -> list[Run]:
    """The selected evaluations of the project. Raises as `comparison_runs`, but for too few."""
    rows = Evaluation.objects.filter(project=actor.project).defer("result")
    matching = evaluations_matching(
        actor=actor, search=selection.search, status=selection.status, endpoint=selection.endpoint
    )
    if selection.algorithm:
        matching = matching.filter(facts__algorithm=selection.algorithm[:40])
    found = rows_selected(
        rows, matching.defer("result"), selection, missing=_missing, name=lambda row: row.name
    )
    return [_run(row) for row in found]


def evaluation_candidates(
    *, actor: Actor, search: str, besides: Sequence[str], limit: int
) -> list[Candidate]:
    """Evaluations on the same dataset as those in `besides`, then the newest."""
    rows = evaluations_matching(actor=actor, search=search).exclude(name__in=besides)
    rows = rows.only("name", "status", "endpoint_name", "created_at").order_by("-created_at", "-pk")
    mine = Evaluation.objects.filter(project=actor.project, name__in=besides)
    kin = list(rows.filter(dataset_reference__in=mine.values("dataset_reference"))[:limit]) if besides else []
    others = rows.exclude(pk__in=[row.pk for row in kin])[: limit - len(kin)]
    return [
        Candidate(row.name, row.status, row.endpoint_name, row.created_at, related=related)
        for related, found in ((True, kin), (False, others))
        for row in found
    ]


def evaluation_curves(*, actor: Actor, names: Sequence[str], metric: str) -> list[Curve]:
    """A score by k, with its intervals, in the order of `names`. An evaluation without a k axis has no curve."""
    if not any(metric in known for known in QUALITIES.values()):
        return []
    quality = KeyTransform("quality", "result")
    rows = Evaluation.objects.filter(project=actor.project, name__in=names, result__isnull=False).values_list(
        "name",
        KeyTransform("k", quality),
        KeyTransform(metric, quality),
        KeyTransform(metric, KeyTransform("intervals", quality)),
    )
    curves = {name: _curve(name, k, values, intervals) for name, k, values, intervals in rows if k and values}
    return [curves[name] for name in dict.fromkeys(names) if name in curves]


def _curve(name: str, k: list[int], values: list[float | None], intervals: Any) -> Curve:
    return Curve(
        name, [(float(place), value) for place, value in zip(k, values, strict=False)], intervals or None
    )


def _qualities(actor: Actor, names: Sequence[str]) -> list[str]:
    summaries = Evaluation.objects.filter(project=actor.project, name__in=names, summary__has_k=True)
    kinds = set(summaries.values_list("summary__kind", flat=True))
    return [name for kind, found in QUALITIES.items() if kind in kinds for name in found]


def _run(row: Evaluation) -> Run:
    summary: dict[str, Any] = row.summary or {}
    duration_s = (row.ended_at - row.started_at).total_seconds() if row.started_at and row.ended_at else None
    metrics, intervals = _scores(summary)
    return Run(
        name=row.name,
        status=row.status,
        ended=row.ended,
        created_at=row.created_at,
        about=row.endpoint_name,
        parameters=_parameters(row, summary),
        metrics=finite_metrics(
            metrics | {name: summary.get(name) for name in _MEASURED} | {"duration_s": duration_s}
        ),
        intervals=intervals,
    )


def _scores(summary: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Interval]]:
    """The score at the model's own k under its own name, the best over all k beside it where there is a k axis."""
    metric = summary.get("metric")
    if not metric:
        return {}, {}
    scores = {metric: summary.get("value")}
    pairs = {metric: summary.get("value_interval")}
    if summary.get("has_k"):
        scores |= {f"best_{metric}": summary.get("best"), "k_best": summary.get("k_best")}
        pairs |= {f"best_{metric}": summary.get("best_interval")}
    whole = {name: pair for name, pair in pairs.items() if pair and None not in pair}
    return scores, {name: (pair[0], pair[1]) for name, pair in whole.items()}


def _parameters(row: Evaluation, summary: Mapping[str, Any]) -> dict[str, str]:
    """What was measured and how; what its hyperparameters say already is not said twice."""
    facts: dict[str, Any] = row.facts or {}
    hyperparameters: dict[str, Any] = facts.get("hyperparameters") or {}
    engine: dict[str, Any] = facts.get("engine") or {}
    given = {
        "algorithm": facts.get("algorithm"),
        **{f"hyperparameters.{name}": value for name, value in hyperparameters.items()},
        **{
            name: facts.get(name)
            for name in ("predictor_type", "index_type", "sample_size")
            if name not in hyperparameters
        },
        "engine": engine.get("name"),
        "instance_type": row.instance_type,
        "vcpus": facts.get("vcpus"),
        "price_per_hour": facts.get("price_per_hour"),
        "currency": facts.get("currency"),
        "dataset": row.dataset_reference,
        "n_features": facts.get("n_features"),
        "n_rows": summary.get("n_rows"),
        "variant": row.variant,
        "k_max": row.k_max,
        "batches": row.batches,
        "single_requests": row.single_requests,
        "batch_size": summary.get("batch_size"),
    }
    return {name: str(value) for name, value in given.items() if value is not None and value != ""}


def _missing(names: list[str]) -> str:
    return ngettext(
        "There is no evaluation named %(names)s", "There are no evaluations named %(names)s", len(names)
    ) % {"names": names_shown(names)}
