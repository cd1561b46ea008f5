"""What experiments have found, for lists and charts: the best cells, scores by k. Reads only.

A fixed number of queries for any number of experiments or cells; of the evaluations' large results only the scores are
read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KeyTransform

from endpoints.models import Evaluation, Experiment, ExperimentCell
from mlplatform.core.status import CellStatus

_ABOVE_ALL: Final = 1e300


def experiment_best_cells(*, experiments: Sequence[Experiment]) -> dict[int, ExperimentCell]:
    """The completed cell with the best score of each experiment, with its evaluation; of equals the first."""
    wanted = Experiment.objects.filter(pk__in=[experiment.pk for experiment in experiments])
    highest = wanted.values_list(Subquery(_ordered(smallest=False).values("pk")[:1]))
    lowest = wanted.values_list(Subquery(_ordered(smallest=True).values("pk")[:1]))
    cells = _with_evaluations(ExperimentCell.objects.filter(Q(pk__in=highest) | Q(pk__in=lowest)))
    best: dict[int, ExperimentCell] = {}
    for cell in cells:
        known = best.get(cell.experiment_id)
        if known is None or _score(cell) > _score(known):
            best[cell.experiment_id] = cell
    return best


def evaluation_qualities(*, evaluation_ids: Iterable[int]) -> dict[int, Mapping[str, Any]]:
    """`result["quality"]` of each evaluation that has one, by its primary key."""
    rows = Evaluation.objects.filter(pk__in=list(evaluation_ids), result__isnull=False).values_list(
        "pk", KeyTransform("quality", "result")
    )
    return {pk: quality for pk, quality in rows if quality}


def _ordered(*, smallest: bool) -> QuerySet[ExperimentCell]:
    """The completed cells of an outer experiment that have a score, the best first.

    Scores and errors are never below 0. Where JSON has null, SQLite compares the word, which is above every number, and
    Postgres has it below them: within both bounds there are numbers only.
    """
    best = KeyTransform("best", "evaluation__summary")
    cells = ExperimentCell.objects.filter(
        experiment=OuterRef("pk"),
        status=CellStatus.COMPLETED,
        evaluation__summary__best__gte=0,
        evaluation__summary__best__lte=_ABOVE_ALL,
    ).annotate(best=best)
    return cells.order_by(F("best").asc() if smallest else F("best").desc(), "position")


def _with_evaluations(cells: QuerySet[ExperimentCell]) -> QuerySet[ExperimentCell]:
    return cells.select_related("evaluation").defer("evaluation__result")


def _score(cell: ExperimentCell) -> float:
    """More is better: an error counts as its negative."""
    summary = (cell.evaluation.summary if cell.evaluation else None) or {}
    best = float(summary.get("best") or 0.0)
    return -best if summary.get("metric") == "rmse" else best
