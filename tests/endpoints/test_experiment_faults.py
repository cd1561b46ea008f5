"""Experiments whose scheduler is killed or doubled, or whose store is away: nothing is done twice, nothing is left."""

from __future__ import annotations

import pytest

from endpoints.models import Endpoint, Evaluation, Experiment, ExperimentCell, Model
from endpoints.services.endpoints import VariantRequest, endpoint_create, endpoint_delete
from endpoints.services.evaluations import evaluation_delete
from endpoints.services.experiment_names import name_free
from endpoints.services.experiment_steps import experiment_step, experiments_due, experiments_step
from endpoints.services.experiments import experiment_delete, experiment_resume
from jobs.models import TrainingJob
from mlplatform.core.errors import Conflict, TransientError
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from tests.endpoints.conftest import IrisParts, TrainedModel
from tests.endpoints.experiment_stage import FLAT, Stage, always, cells_of, never, statuses
from tests.interleaving import before_the_first, before_the_first_transaction, before_transactions
from tests.transitions import transitions_recorded


@pytest.fixture
def stage(alice: Actor, iris: IrisParts, knn_iris: TrainedModel) -> Stage:
    return Stage.of(alice, iris, knn_iris)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        'INSERT INTO "jobs_trainingjob"',
        'INSERT INTO "endpoints_model"',
        'INSERT INTO "endpoints_endpoint"',
        'INSERT INTO "endpoints_evaluation"',
        'UPDATE "endpoints_experimentcell"',
        'DELETE FROM "endpoints_endpoint"',
    ],
)
def test_a_pass_that_is_killed_anywhere_is_taken_up_where_it_was(stage: Stage, statement: str) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    experiment = stage.create(configurations=[FLAT])
    with before_the_first(statement, kill), pytest.raises(Killed):
        stage.run(experiment)
    stage.run(experiment)
    assert statuses() == ["Completed"] * 2
    assert TrainingJob.objects.count() == Model.objects.count() == 1
    assert Evaluation.objects.count() == 2 and not Endpoint.objects.exists()
    uris = {model.artifact_uri for model in Model.objects.all()}
    stored = {found.uri for found in object_store().list(f"s3://{stage.alice.project.bucket}/models")}
    assert uris <= stored


@pytest.mark.django_db(transaction=True)
def test_two_schedulers_at_a_time_do_everything_once(stage: Stage) -> None:
    experiment = stage.create(configurations=[FLAT])
    n_overtaken = 0
    overtaking = False

    def overtake() -> None:
        """Before every transaction of the one, the other makes a whole pass."""
        nonlocal n_overtaken, overtaking
        if not overtaking:
            overtaking = True
            n_overtaken += experiment_step(experiment_id=experiment.pk)
            overtaking = False

    with transitions_recorded() as transitions:
        with before_transactions(overtake):
            stage.run(experiment)
        assert not transitions.illegal()
    assert n_overtaken > 5
    assert statuses() == ["Completed"] * 2
    assert TrainingJob.objects.count() == Model.objects.count() == 1
    assert Evaluation.objects.count() == 2 and not Endpoint.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_stop_that_comes_while_a_model_is_copied_leaves_no_endpoint(stage: Stage) -> None:
    experiment = stage.create(configurations=[FLAT], instance_types=["local.cpu"])
    stage.until(lambda: TrainingJob.objects.filter(status="Completed").exists())
    stopping = before_the_first(
        'INSERT INTO "endpoints_model"', lambda: Experiment.objects.update(status="Stopping")
    )
    with stopping:
        experiment_step(experiment_id=experiment.pk)
    stage.run(experiment)
    assert (experiment.status, statuses()) == ("Stopped", ["Stopped"])
    assert not Endpoint.objects.exists()


def test_an_endpoint_left_by_a_cell_that_has_ended_is_found_and_deleted(stage: Stage) -> None:
    experiment = stage.create(configurations=[FLAT], instance_types=["local.cpu"])
    stage.until(lambda: Endpoint.objects.exists())
    ExperimentCell.objects.update(status="Failed", failure="killed")
    Experiment.objects.update(status="Completed")
    assert experiments_due().exists()
    experiments_step()
    assert not Endpoint.objects.exists() and not experiments_due().exists()
    assert experiment.pk


def test_a_store_that_is_away_is_waited_for_in_words(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_uris: str) -> None:
        raise TransientError("The object store is away")

    experiment = stage.create(configurations=[FLAT], instance_types=["local.cpu"])
    stage.until(lambda: TrainingJob.objects.filter(status="Completed").exists())
    with monkeypatch.context() as patch:
        patch.setattr(object_store(), "copy", away)
        for _ in range(3):
            stage.turn()
    assert (statuses(), str(cells_of()[0].waiting)) == (["Deploying"], "waits: The object store is away")
    stage.run(experiment)
    assert statuses() == ["Completed"]


def test_names_that_are_taken_or_too_long_end_with_a_piece_of_the_experiment_s_id(stage: Stage) -> None:
    endpoint_name = "study-Flat-100-local-cpu"
    experiment = stage.create(configurations=[FLAT], instance_types=["local.cpu"])
    stage.until(lambda: Model.objects.exists())
    endpoint_delete(actor=stage.alice, name=endpoint_name)
    cell = {
        "configuration": "Flat",
        "sample_size": 100,
        "instance_type": "local.cpu",
        "attempt": 1,
        "position": 7,
    }
    assert name_free(Endpoint, experiment, cell) == endpoint_name
    endpoint_create(actor=stage.alice, name=endpoint_name, variants=[VariantRequest(model="study-Flat-100")])
    assert name_free(Endpoint, experiment, cell) == f"{endpoint_name}-{experiment.uid[:6]}"
    experiment.name = "x" * 63
    long = name_free(Endpoint, experiment, cell | {"attempt": 2})
    assert len(long) == 63 and long.endswith(f"-Flat-100-local-cpu-2-{experiment.uid[:6]}")
    very_long = {
        name_free(
            Endpoint, experiment, cell | {"configuration": name, "sample_size": 10**9, "position": number}
        )
        for number, name in ((7, "c" * 40), (8, "b" + "c" * 39))
    }
    assert len(very_long) == 2 and all(len(name) <= 63 for name in very_long)
    assert {name.rpartition(experiment.uid[:6])[2] for name in very_long} == {"-7", "-8"}


@pytest.mark.django_db(transaction=True)
def test_a_scheduler_that_finishes_late_does_not_end_what_was_resumed_meanwhile(stage: Stage) -> None:
    stage.measures = never
    experiment = stage.create(configurations=[FLAT], instance_types=["local.cpu"])
    n_resumed = 0

    def other_finishes_and_alice_resumes() -> None:
        nonlocal n_resumed
        n_resumed += 1
        Experiment.objects.update(status="Completed")
        experiment_resume(actor=stage.alice, name="study")

    with before_the_first('UPDATE "endpoints_experiment"', other_finishes_and_alice_resumes):
        stage.until(lambda: n_resumed)
    experiment.refresh_from_db()
    assert (experiment.status, experiment.ended_at) == ("InProgress", None)
    stage.measures = always
    assert stage.run(experiment).status == "Completed" and statuses() == ["Completed"]


@pytest.mark.django_db(transaction=True)
def test_what_is_resumed_while_it_is_deleted_stays_and_leaves_nothing_running(stage: Stage) -> None:
    stage.measures = never
    experiment = stage.run(stage.create(configurations=[FLAT], instance_types=["local.cpu"]))

    def resumed() -> None:
        experiment_resume(actor=stage.alice, name="study")
        stage.until(lambda: Endpoint.objects.exists())

    with before_the_first_transaction(resumed), pytest.raises(Conflict, match="InProgress"):
        experiment_delete(actor=stage.alice, name="study", keep_results=True)
    stage.run(experiment)
    assert not Endpoint.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_somebody_else_deletes_meanwhile_does_not_hold_up_a_deletion(stage: Stage) -> None:
    stage.run(stage.create(configurations=[FLAT], instance_types=["local.cpu"]))
    evaluation = Evaluation.objects.get()
    with before_the_first_transaction(lambda: evaluation_delete(actor=stage.alice, name=evaluation.name)):
        experiment_delete(actor=stage.alice, name="study")
    assert not Experiment.objects.exists() and not Evaluation.objects.exists()
    assert not Model.objects.exists() and not TrainingJob.objects.exists()


def test_an_endpoint_that_is_still_there_holds_up_resume_and_deletion(stage: Stage) -> None:
    experiment = stage.create(configurations=[FLAT], instance_types=["local.cpu"])
    stage.until(lambda: Endpoint.objects.exists())
    ExperimentCell.objects.update(status="Failed", failure="killed")
    Experiment.objects.update(status="Completed")
    for act in (experiment_resume, experiment_delete):
        with pytest.raises(Conflict, match=r"study-Flat-100-local-cpu.* is still being deleted"):
            act(actor=stage.alice, name="study")
    experiments_step()
    experiment_resume(actor=stage.alice, name="study")
    assert stage.run(experiment).status == "Completed"
