"""Experiments with the database: every cell to its end, stopped, resumed, deleted; nothing is left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from endpoints.models import Endpoint, Evaluation, Experiment, ExperimentCell, Model
from endpoints.selectors.experiment_tables import (
    cells_table,
    experiment_accuracy_table,
    experiment_latency_table,
)
from endpoints.selectors.experiments import (
    experiment_cells,
    experiment_counts,
    experiment_deletion,
    experiment_list,
)
from endpoints.services.endpoints import VariantRequest, endpoint_create, endpoint_delete
from endpoints.services.experiment_steps import experiment_step, experiments_due, experiments_step
from endpoints.services.experiments import (
    experiment_delete,
    experiment_resume,
    experiment_stop,
)
from endpoints.services.models import model_create
from endpoints.sweeping import experiments_sweep
from jobs.instance_types import instance_type_get
from jobs.models import TrainingJob
from jobs.services.datasets import dataset_delete
from mlplatform.core import clock
from mlplatform.core.errors import (
    Conflict,
    InvalidRequest,
)
from mlplatform.core.models import AuditEvent, Membership, Node, Role
from mlplatform.core.people.access import Actor
from tests.endpoints.conftest import IrisParts, TrainedModel
from tests.endpoints.experiment_stage import FLAT, Stage, cells_of, statuses
from tests.jobs.training.cast import dataset_make


@pytest.fixture
def stage(alice: Actor, iris: IrisParts, knn_iris: TrainedModel) -> Stage:
    return Stage.of(alice, iris, knn_iris)


# ---- going on


def test_a_grid_is_trained_deployed_and_evaluated_one_cell_at_a_time(stage: Stage) -> None:
    experiment = stage.run(stage.create())
    assert (experiment.status, experiment.ended_at is not None) == ("Completed", True)
    assert statuses() == ["Completed"] * 4
    assert stage.n_active_most == 1
    assert [job.name for job in TrainingJob.objects.order_by("pk")] == ["study-Flat-100", "study-IVF-100"]
    assert sorted(model.name for model in Model.objects.all()) == ["study-Flat-100", "study-IVF-100"]
    assert not Endpoint.objects.exists()
    assert [cell.evaluation.name for cell in cells_of()] == [  # type: ignore[union-attr]
        "study-Flat-100-local-cpu",
        "study-Flat-100-ml-c5-xlarge",
        "study-IVF-100-local-cpu",
        "study-IVF-100-ml-c5-xlarge",
    ]
    assert {cell.instance_type: cell.evaluation.instance_type for cell in cells_of()} == {  # type: ignore[union-attr]
        "local.cpu": "local.cpu",
        "ml.c5.xlarge": "ml.c5.xlarge",
    }
    assert all(cell.started_at and cell.ended_at and not cell.waiting for cell in cells_of())
    job = TrainingJob.objects.get(name="study-IVF-100")
    assert {given.channel: given.dataset_reference for given in job.inputs.all()} == {
        "train": "train@1",
        "test": "test@1",
    }
    assert experiments_sweep().n_done == 0 and not experiments_due().exists()


def test_several_cells_at_a_time_train_what_they_share_once(stage: Stage) -> None:
    stage.run(stage.create(parallelism=3))
    assert 2 <= stage.n_active_most <= 3
    assert TrainingJob.objects.count() == Model.objects.count() == 2
    assert statuses() == ["Completed"] * 4


def test_what_is_done_for_an_experiment_is_in_the_audit_log_in_the_name_of_who_asked(stage: Stage) -> None:
    stage.run(stage.create(configurations=[FLAT], instance_types=["local.cpu"]))
    events = {event.action: (event.username, event.face) for event in AuditEvent.objects.all()}
    assert events["experiment.create"] == ("alice", "command")
    for action in ("training_job", "model", "endpoint", "evaluation"):
        assert events[f"{action}.create"] == ("alice", "scheduler")
    assert events["endpoint.delete"] == ("alice", "scheduler")


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("trains", "DataError: row 3: 'x' is not a number"),
        ("serves", "ModelError: no index in it"),
        ("measures", "the endpoint answered 500"),
    ],
)
def test_a_cell_that_fails_says_why_and_the_rest_goes_on(stage: Stage, part: str, reason: str) -> None:
    setattr(stage, part, lambda cell: cell.configuration != "Flat")
    experiment = stage.run(stage.create())
    assert experiment.status == "Completed"
    assert statuses() == ["Failed", "Failed", "Completed", "Completed"]
    assert {str(cell.failure) for cell in cells_of() if cell.status == "Failed"} == {reason}
    assert not Endpoint.objects.exists()


def test_a_request_that_is_refused_in_the_middle_fails_the_cell_with_its_words(stage: Stage) -> None:
    experiment = stage.create()
    stage.until(lambda: Evaluation.objects.exists())
    dataset_make(stage.alice, "train")
    TrainingJob.objects.filter(name="study-IVF-100").delete()
    experiment.cells.filter(configuration="IVF").update(
        hyperparameters={"predictor_type": "classifier", "k": "1000", "sample_size": "100"}
    )
    stage.run(experiment)
    assert statuses() == ["Completed", "Completed", "Failed", "Failed"]
    assert "1000 exceeds sample_size 100" in cells_of()[2].failure


def test_a_dataset_that_goes_in_the_middle_fails_the_cells_that_need_it(stage: Stage) -> None:
    experiment = stage.create()
    stage.until(lambda: Evaluation.objects.filter(status="Completed").count() == 2)
    stage.until(lambda: not TrainingJob.objects.filter(status="InProgress").exists())
    dataset_delete(actor=stage.alice, name="test")
    stage.run(experiment)
    assert statuses()[:2] == ["Completed", "Completed"]
    assert set(statuses()[2:]) == {"Failed"} and "test" in cells_of()[3].failure


def test_other_data_under_the_name_of_a_deleted_dataset_is_not_taken_for_it(stage: Stage) -> None:
    experiment = stage.create()
    stage.until(lambda: Evaluation.objects.filter(status="Completed").count() == 2)
    stage.until(lambda: not TrainingJob.objects.filter(status="InProgress").exists())
    version = experiment.test_version
    assert version is not None
    dataset_delete(actor=stage.alice, name="test")
    dataset_make(
        stage.alice,
        "test",
        rows=[(1.0, 2.0, 3.0, 4.0, "setosa")],
        columns=tuple(version.schema["columns"]),
        types=tuple(version.schema["types"]),
        label=4,
    )
    stage.run(experiment)
    assert statuses() == ["Completed"] * 2 + ["Failed"] * 2
    assert cells_of()[2].failure == "Dataset test@1 was deleted before it was used"


def test_more_instances_than_there_may_be_are_waited_for_in_words(stage: Stage) -> None:
    experiment = stage.create(configurations=[FLAT])
    limit = instance_type_get("ml.c5.xlarge").limit
    stage.until(lambda: Model.objects.exists())
    busy = VariantRequest(model="study-Flat-100", instance_type="ml.c5.xlarge", instance_count=limit)
    endpoint_create(actor=stage.alice, name="busy", variants=[busy])
    stage.until(lambda: cells_of()[1].status == "Deploying")
    for _ in range(3):
        stage.turn()
    assert str(cells_of()[1].waiting) == f"waits: {limit} of {limit} instances of ml.c5.xlarge are in use"
    endpoint_delete(actor=stage.alice, name="busy")
    stage.run(experiment)
    assert statuses() == ["Completed"] * 2


def test_cells_of_a_type_nobody_serves_wait_until_a_host_does(stage: Stage) -> None:
    experiment = stage.create(configurations=[FLAT], instance_types=["ml.p2.xlarge", "local.cpu"])
    stage.until(lambda: statuses() == ["Pending", "Completed"])
    for _ in range(3):
        stage.turn()
    assert statuses()[0] == "Pending" and "no host serves queue gpu" in cells_of()[0].waiting
    stage.beat(host=("cpu", "gpu"))
    stage.run(experiment)
    assert statuses() == ["Completed"] * 2 and TrainingJob.objects.count() == 1


def test_nothing_is_begun_in_the_name_of_somebody_who_may_no_longer_edit(stage: Stage, bob: Actor) -> None:
    Membership.objects.filter(user=bob.user).update(role=Role.EDITOR)
    erin = Actor(user=bob.user, project=bob.project, role=Role.EDITOR)
    experiment = stage.create(actor=erin)
    stage.until(lambda: "Evaluating" in statuses())
    Membership.objects.filter(user=bob.user).update(role=Role.VIEWER)
    stage.run(experiment)
    assert statuses() == ["Completed", "Failed", "Failed", "Failed"]
    assert (
        "bob, in whose name this experiment runs, may no longer edit project flowers" in cells_of()[1].failure
    )
    assert not Endpoint.objects.exists()
    stage.run(experiment_resume(actor=stage.alice, name="study"))
    assert statuses() == ["Completed"] * 4
    assert AuditEvent.objects.filter(action="evaluation.create", username="alice").count() == 3


def test_the_endpoint_of_a_deactivated_creator_is_deleted_all_the_same(stage: Stage, bob: Actor) -> None:
    Membership.objects.filter(user=bob.user).update(role=Role.EDITOR)
    experiment = stage.create(actor=Actor(user=bob.user, project=bob.project, role=Role.EDITOR))
    stage.until(lambda: "Evaluating" in statuses())
    bob.user.is_active = False
    bob.user.save()
    stage.run(experiment)
    assert not Endpoint.objects.exists()
    assert "is deactivated" in cells_of()[3].failure


# ---- stop and resume


def test_a_stop_stops_what_runs_and_a_resume_does_what_is_missing(stage: Stage) -> None:
    stage.lasts = lambda cell: cell.position > 1 and cell.attempt == 1
    experiment = stage.create(parallelism=2)
    stage.until(lambda: statuses() == ["Completed", "Evaluating", "Training", "Pending"])
    experiment_stop(actor=stage.alice, name="study")
    assert experiment_stop(actor=stage.alice, name="study").status == "Stopping"
    stage.run(experiment)
    assert (experiment.status, statuses()) == ("Stopped", ["Completed", "Stopped", "Stopped", "Stopped"])
    assert not Endpoint.objects.exists()
    assert sorted(TrainingJob.objects.values_list("name", "status")) == [
        ("study-Flat-100", "Completed"),
        ("study-IVF-100", "Stopped"),
    ]
    with pytest.raises(Conflict, match="has ended already"):
        experiment_stop(actor=stage.alice, name="study")
    first = cells_of()[0].evaluation_id
    stage.run(experiment_resume(actor=stage.alice, name="study"))
    assert statuses() == ["Completed"] * 4
    assert [cell.attempt for cell in cells_of()] == [1, 2, 2, 2]
    assert cells_of()[0].evaluation_id == first
    assert [cell.training_job.name for cell in cells_of()] == [  # type: ignore[union-attr]
        "study-Flat-100",
        "study-Flat-100",
        "study-IVF-100-2",
        "study-IVF-100-2",
    ], "what was trained is used again"
    with pytest.raises(Conflict, match="nothing left to do"):
        experiment_resume(actor=stage.alice, name="study")


def test_a_resumed_cell_whose_job_failed_trains_again_under_another_name(stage: Stage) -> None:
    stage.trains = lambda cell: cell.attempt > 1
    experiment = stage.run(stage.create(configurations=[FLAT]))
    assert statuses() == ["Failed", "Failed"]
    stage.run(experiment_resume(actor=stage.alice, name="study"))
    assert statuses() == ["Completed", "Completed"]
    assert sorted(TrainingJob.objects.values_list("name", "status")) == [
        ("study-Flat-100", "Failed"),
        ("study-Flat-100-2", "Completed"),
    ]
    assert experiment.pk == Experiment.objects.get().pk


def test_an_experiment_that_runs_is_not_resumed_and_not_deleted(stage: Stage) -> None:
    stage.create()
    with pytest.raises(Conflict, match="InProgress"):
        experiment_resume(actor=stage.alice, name="study")
    with pytest.raises(Conflict, match="stop it and wait"):
        experiment_delete(actor=stage.alice, name="study")


def test_a_stop_of_what_has_not_begun_starts_nothing(stage: Stage) -> None:
    experiment = stage.create()
    experiment_stop(actor=stage.alice, name="study")
    stage.run(experiment)
    assert statuses() == ["Stopped"] * 4 and not TrainingJob.objects.exists()


# ---- deleting


def test_with_an_experiment_goes_what_it_made_and_not_what_is_served(stage: Stage) -> None:
    experiment = stage.run(stage.create())
    endpoint_create(actor=stage.alice, name="winner", variants=[VariantRequest(model="study-IVF-100")])
    model_create(actor=stage.alice, name="mine", training_job="study-Flat-100")
    foreseen = experiment_deletion(experiment=experiment)
    assert (foreseen.n_evaluations, foreseen.n_models, foreseen.n_training_jobs) == (4, 1, 1)
    assert foreseen.kept_models == ("study-IVF-100",)
    assert experiment_delete(actor=stage.alice, name="study") == foreseen
    assert sorted(Model.objects.values_list("name", flat=True)) == ["mine", "study-IVF-100"]
    assert list(TrainingJob.objects.values_list("name", flat=True)) == ["study-IVF-100"]
    assert not Evaluation.objects.exists() and not Experiment.objects.exists()
    assert Endpoint.objects.get().name == "winner"


def test_what_it_made_can_be_kept(stage: Stage) -> None:
    stage.run(stage.create())
    assert experiment_delete(actor=stage.alice, name="study", keep_results=True).n_models == 0
    assert (Evaluation.objects.count(), Model.objects.count(), TrainingJob.objects.count()) == (4, 2, 2)
    assert not Experiment.objects.exists() and not ExperimentCell.objects.exists()


# ---- reading


def test_lists_have_counts_orders_and_filters(stage: Stage) -> None:
    stage.run(stage.create())
    stage.create(name="second", description="of iris")
    page = experiment_list(actor=stage.alice)
    assert [(row.name, row.n_cells, row.n_completed, row.n_ended) for row in page.items] == [  # type: ignore[attr-defined]
        ("second", 4, 0, 0),
        ("study", 4, 4, 4),
    ]
    assert experiment_list(actor=stage.alice, search="iris").count == 1
    assert experiment_list(actor=stage.alice, status="Completed").count == 1
    with pytest.raises(InvalidRequest, match="Stopped"):
        experiment_list(actor=stage.alice, status="Done")
    assert experiment_counts(actor=stage.alice) == {
        "InProgress": 1,
        "Stopping": 0,
        "Completed": 1,
        "Stopped": 0,
    }


def test_cells_come_in_one_query_and_a_pass_at_rest_takes_few(
    stage: Stage, django_assert_num_queries: Any
) -> None:
    experiment = stage.create(sample_sizes=[20, 40, 60, 80, 100])
    stage.until(
        lambda: TrainingJob.objects.filter(status="InProgress").exists() or Evaluation.objects.exists()
    )
    experiments_step()
    with django_assert_num_queries(1):
        cells = experiment_cells(experiment=experiment)
        assert [str(cell.training_job and cell.training_job.name) for cell in cells]
        assert [cell.evaluation and cell.evaluation.summary for cell in cells]
    with CaptureQueriesContext(connection) as queries:
        assert experiment_step(experiment_id=experiment.pk) == 0
    assert len(queries) <= 6, [query["sql"][:80] for query in queries]


def test_tables_have_a_column_or_row_per_cell(stage: Stage) -> None:
    stage.measures = lambda cell: cell.instance_type == "local.cpu"
    experiment = stage.run(stage.create())
    cells = experiment_cells(experiment=experiment, results=True)
    accuracy = experiment_accuracy_table(cells)
    assert [set(cell.evaluation.result or {}) for cell in cells if cell.evaluation] == [
        {"quality", "latency"},
        set(),
    ] * 2, "no more of what may be large"
    assert [column.title for column in accuracy.columns] == ["k", "Flat 100 local.cpu", "IVF 100 local.cpu"]
    assert accuracy.records()[0]["Flat 100 local.cpu"] == 0.97
    assert [row[0].value for row in experiment_latency_table(cells).rows] == [
        "Flat 100 local.cpu",
        "IVF 100 local.cpu",
    ]
    records = cells_table(cells).records()
    assert [record["status"] for record in records] == ["Completed", "Failed"] * 2
    assert records[0]["value"] == 0.97 and records[0]["price_per_million_rows"] == 0.0
    assert records[1]["reason"] == "the endpoint answered 500"


def test_an_experiment_of_a_dead_platform_waits_and_skips_nothing(stage: Stage) -> None:
    Node.objects.update(seen_at=clock.now() - timedelta(minutes=5))
    stage.create(unserved="skip")
    experiments_step()
    assert statuses() == ["Pending"] * 4
    assert all("no host serves queue cpu" in cell.waiting for cell in cells_of())


def test_the_console_shows_cells_with_their_reasons_and_stops(stage: Stage, client: Client) -> None:
    experiment = stage.create(instance_types=["ml.p2.xlarge"])
    client.force_login(User.objects.create_superuser("operator"))
    page = client.get(reverse("admin:endpoints_experiment_change", args=[experiment.pk])).content.decode()
    assert "ml.p2.xlarge" in page
    cells = client.get(reverse("admin:endpoints_experimentcell_changelist")).content.decode()
    assert "no host serves queue gpu" in cells
    chosen = {"action": "stop_experiments", "_selected_action": [experiment.pk]}
    client.post(reverse("admin:endpoints_experiment_changelist"), chosen)
    experiment.refresh_from_db()
    assert experiment.status == "Stopping"
