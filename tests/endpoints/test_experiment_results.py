"""What experiments have found: the best cell of each, counts, scores without the rest of the results."""

from __future__ import annotations

from typing import Any

import pytest

from endpoints.models import Evaluation, Experiment, ExperimentCell
from endpoints.selectors.experiment_results import (
    evaluation_qualities,
    experiment_best_cells,
)
from endpoints.selectors.experiments import experiment_cell_counts, experiment_list
from mlplatform.core.status import CellStatus
from tests.jobs.training.cast import Cast, cast_make
from tests.web.experiments import FLAT, Grid, experiment_make

pytestmark = pytest.mark.django_db
THREE = Grid(configurations=(FLAT,), sizes=(100, 200, 300), types=("local.cpu",), k=5)


@pytest.fixture
def cast() -> Cast:
    return cast_make()


def measured_as(experiment: Experiment, metric: str, values: list[float | None]) -> None:
    """Gives the cells these scores, in their order."""
    for cell, value in zip(experiment.cells.order_by("position"), values, strict=True):
        Evaluation.objects.filter(pk=cell.evaluation_id).update(summary={"metric": metric, "best": value})


@pytest.mark.parametrize(
    ("metric", "values", "position"),
    [
        ("accuracy", [0.9, 0.95, 0.8], 2),
        ("accuracy", [0.9, 0.9, 0.8], 1),
        ("rmse", [3.0, 2.0, 10.0], 2),
        ("rmse", [2.0, 3.0, 2.0], 1),
        ("accuracy", [None, None, 0.1], 3),
        ("rmse", [None, 2.0, 3.0], 2),
        ("accuracy", [0.0, None, 0.0], 1),
        ("accuracy", [None, None, None], None),
    ],
)
def test_the_best_cell_has_the_highest_score_or_the_smallest_error(
    cast: Cast, metric: str, values: list[float | None], position: int | None
) -> None:
    experiment = experiment_make(cast.alice, "one", THREE)
    measured_as(experiment, metric, values)
    found = experiment_best_cells(experiments=[experiment]).get(experiment.pk)
    assert (found and found.position) == position


def test_cells_that_are_not_completed_are_no_candidates(cast: Cast) -> None:
    experiment = experiment_make(cast.alice, "one", THREE)
    measured_as(experiment, "accuracy", [0.9, 0.95, 0.8])
    ExperimentCell.objects.filter(position=2).update(status=CellStatus.FAILED)
    assert experiment_best_cells(experiments=[experiment])[experiment.pk].position == 1


def test_many_experiments_are_read_with_one_question(cast: Cast, django_assert_num_queries: Any) -> None:
    experiments = [experiment_make(cast.alice, f"e{n}", THREE) for n in range(4)]
    with django_assert_num_queries(1):
        best = experiment_best_cells(experiments=experiments)
    assert set(best) == {experiment.pk for experiment in experiments}
    assert experiment_best_cells(experiments=[]) == {}
    listed = experiment_list(actor=cast.alice).items
    counts = [experiment_cell_counts(experiment) for experiment in listed]
    assert all({name: n for name, n in found.items() if n} == {"Completed": 3} for found in counts)


def test_scores_are_read_without_the_rest(cast: Cast, django_assert_num_queries: Any) -> None:
    experiment = experiment_make(cast.alice, "one", THREE)
    ids = list(experiment.cells.values_list("evaluation_id", flat=True))
    Evaluation.objects.filter(pk=ids[0]).update(result=None)
    Evaluation.objects.filter(pk=ids[1]).update(result={"kind": "unlabelled", "quality": None})
    with django_assert_num_queries(1):
        found = evaluation_qualities(evaluation_ids=ids)
    assert list(found) == [ids[2]]
    assert found[ids[2]]["k"] == [1, 2, 3, 4, 5]
