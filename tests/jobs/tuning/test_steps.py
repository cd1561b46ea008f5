"""Tuning jobs from beginning to end, the work of the workers played: what is found, what fails, what is stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.models import Dataset, TrainingJob, TuningJob, TuningTrial
from jobs.selectors.tuning import tuning_best_request, tuning_job_get, tuning_parents, tuning_trials
from jobs.services import tuning_actions, tuning_steps
from jobs.services.datasets import dataset_delete
from jobs.services.owners import owner_new
from jobs.services.training import training_job_delete, training_job_stop
from jobs.services.tuning import tuning_job_delete, tuning_job_extend, tuning_job_stop
from jobs.services.tuning_actions import TuningActions
from jobs.services.tuning_seen import Row
from jobs.services.tuning_steps import tuning_job_step
from jobs.tuning.asker import asker_here
from jobs.tuning.plan import End
from mlplatform.core import clock
from mlplatform.core.errors import Conflict, InvalidRequest, TransientError
from mlplatform.core.models import AuditEvent, Membership, Node, Role
from tests.jobs.tuning.stage import METRIC, Stage, cost, explanations, statuses, trials_of


def test_four_trials_two_at_a_time_find_the_best(stage: Stage) -> None:
    job = stage.run(stage.create())
    assert (job.status, str(job.ended_because)) == ("Completed", "all 4 trials have ended")
    assert statuses(job) == ["Completed"] * 4 and stage.n_active_most == 2
    trials = trials_of(job)
    assert [trial.training_job.name for trial in trials if trial.training_job] == [t.job_name for t in trials]
    assert all(trial.job_name.startswith(f"search-{trial.number:03d}-") for trial in trials)
    for trial in trials:
        assert trial.training_job is not None and trial.training_job.created_by_id == job.created_by_id
        assert trial.training_job.hyperparameters == {**job.static_hyperparameters, **trial.parameters}
        assert trial.value == pytest.approx(cost(trial.training_job)) and trial.steps == [[0, trial.value]]
        assert 0.2 <= float(trial.parameters["eta"]) <= 0.3
    assert job.best_trial == min(trials, key=lambda trial: trial.value or 0)
    assert tuning_best_request(actor=stage.alice, name="search")["algorithm"] == "xgboost"
    with_jobs = AuditEvent.objects.filter(action="training_job.create")
    assert {event.face for event in with_jobs} == {"scheduler"} and with_jobs.count() == 4


def test_the_same_seed_finds_the_same_whoever_asks(stage: Stage) -> None:
    first = stage.run(stage.create(strategy="Random", max_jobs=6))
    asker_here().close()
    second = stage.run(stage.create(strategy="Random", max_jobs=6, name="again"))
    assert [t.parameters for t in trials_of(first)] == [t.parameters for t in trials_of(second)]


def test_a_grid_is_tried_whole(stage: Stage) -> None:
    ranges = [
        {"name": "eta", "type": "Continuous", "min": 0.2, "max": 0.3, "step": 0.05},
        {"name": "max_depth", "type": "Integer", "min": 3, "max": 4},
    ]
    job = stage.run(stage.create(strategy="Grid", ranges=ranges, max_jobs=None))
    assert job.max_jobs == 6
    tried = {(t.parameters["eta"], t.parameters["max_depth"]) for t in trials_of(job)}
    assert tried == {(eta, depth) for eta in ("0.2", "0.25", "0.3") for depth in ("3", "4")}


def test_a_trial_that_dies_or_prints_nothing_is_explained_and_the_rest_goes_on(stage: Stage) -> None:
    stage.fails = lambda job: job.trial.number == 1
    stage.value = lambda job: None if job.trial.number == 2 else cost(job)
    job = stage.run(stage.create())
    assert statuses(job) == ["Failed", "NoMetric", "Completed", "Completed"]
    assert explanations(job)[:2] == [
        "DataError: row 3: 'x' is not a number",
        f"it ended well, and never printed {METRIC}",
    ]
    assert job.status == "Completed"


def test_without_any_value_the_tuning_job_has_failed_with_the_reason(stage: Stage) -> None:
    stage.value = lambda job: None
    job = stage.run(stage.create())
    assert job.status == "Failed" and job.best_trial is None
    assert (
        job.failure
        == f"none of its 4 trials has a value of {METRIC}: it ended well, and never printed {METRIC}"
    )


def test_a_value_that_is_no_number_is_none(stage: Stage) -> None:
    stage.value = lambda job: float("inf")
    stage.prints = lambda job, values: Stage.prints(stage, job, [None])  # type: ignore[method-assign]
    job = stage.run(stage.create(max_jobs=1, max_parallel_jobs=1))
    assert "no finite number" in explanations(job)[0]


def test_a_job_that_is_refused_fails_its_trial_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    create = tuning_actions.training_job_create

    def refuses(**request: Any) -> TrainingJob:
        if request["name"].startswith("search-002"):
            raise InvalidRequest.for_field("hyperparameters.eta", "does not go with max_depth 9")
        return create(**request)

    monkeypatch.setattr(tuning_actions, "training_job_create", refuses)
    job = stage.run(stage.create())
    assert statuses(job) == ["Completed", "Failed", "Completed", "Completed"]
    assert explanations(job)[1] == "hyperparameters.eta: does not go with max_depth 9"


def test_what_passes_is_waited_for_and_the_suggestion_kept(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, away = tuning_actions.training_job_create, [True]

    def limited(**request: Any) -> TrainingJob:
        if away[0]:
            raise TransientError("all 2 instances are in use")
        return create(**request)

    monkeypatch.setattr(tuning_actions, "training_job_create", limited)
    job = stage.create()
    for _ in range(3):
        tuning_job_step(tuning_job_id=job.pk)
    job.refresh_from_db()
    assert job.waiting == "waits: all 2 instances are in use"
    (trial,) = trials_of(job)
    away[0] = False
    ended = stage.run(job)
    assert (ended.status, ended.waiting, len(trials_of(job))) == ("Completed", "", 4)
    trial.refresh_from_db()
    assert trial.status == "Completed" and trial.training_job and trial.training_job.name == trial.job_name


@pytest.mark.parametrize(("early_stopping", "n_looks"), [("Off", 1), ("Auto", 2)])
def test_the_next_trial_begins_with_the_look_that_finds_one_ended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, early_stopping: str, n_looks: int
) -> None:
    """Where no trial is judged by the others' steps. What has become a job needs no further look."""
    job = stage.create(max_parallel_jobs=1, early_stopping=early_stopping)
    stage.turn()
    looks: list[int] = []
    look = tuning_steps.tuning_seen

    def counted(*, tuning_job_id: int) -> Any:
        looks.append(tuning_job_id)
        return look(tuning_job_id=tuning_job_id)

    monkeypatch.setattr(tuning_steps, "tuning_seen", counted)
    assert tuning_job_step(tuning_job_id=job.pk, look_first=False) == 2
    assert statuses(job) == ["Completed", "InProgress"] and len(looks) == n_looks


def test_nothing_begins_with_a_look_from_before_a_stop(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    job = stage.create(max_parallel_jobs=1)
    stage.turn()
    end = TuningActions._end

    def overtaken(actions: TuningActions, row: Row, action: End) -> bool:
        ended = end(actions, row, action)
        tuning_job_stop(actor=stage.alice, name=job.name)
        return ended

    monkeypatch.setattr(TuningActions, "_end", overtaken)
    tuning_job_step(tuning_job_id=job.pk, look_first=False)
    job.refresh_from_db()
    assert statuses(job) == ["Completed"] and job.status == "Stopped"


def test_a_queue_that_nobody_serves_is_said(stage: Stage) -> None:
    Node.objects.all().delete()
    job = stage.create()
    for _ in range(2):
        tuning_job_step(tuning_job_id=job.pk)
    job.refresh_from_db()
    assert "no worker serves queue cpu" in job.waiting


def test_a_person_stops_it_and_what_runs_is_stopped(stage: Stage) -> None:
    stage.lasts = lambda job: True
    job = stage.create()
    stage.turn()
    assert tuning_job_stop(actor=stage.alice, name="search").status == "Stopping"
    assert tuning_job_stop(actor=stage.alice, name="search").status == "Stopping"
    job = stage.run(job)
    assert (job.status, str(job.ended_because)) == ("Stopped", "alice stopped it")
    assert statuses(job) == ["Stopped", "Stopped"]
    assert AuditEvent.objects.filter(action="tuning_job.stop").count() == 1
    with pytest.raises(Conflict, match="ended already"):
        tuning_job_stop(actor=stage.alice, name="search")


def test_the_target_ends_it_and_stops_the_others(stage: Stage) -> None:
    stage.lasts = lambda job: job.trial.number == 2
    job = stage.run(stage.create(completion={"target_value": 100.0}))
    assert job.status == "Completed" and "trial 1 has reached the target" in job.ended_because
    assert statuses(job) == ["Completed", "Stopped"]


def test_the_longest_run_time_ends_it(stage: Stage) -> None:
    stage.lasts = lambda job: job.trial.number > 1
    job = stage.create(max_jobs=None, max_runtime_s=60)
    stage.turn()
    stage.turn()
    TuningJob.objects.update(created_at=clock.now() - timedelta(seconds=61))
    job = stage.run(job)
    assert (job.status, str(job.ended_because)) == ("Completed", "the longest run time of 60 s has passed")


def test_a_trial_that_is_worse_than_the_median_is_stopped_early_with_its_value(stage: Stage) -> None:
    stage.lasts = lambda job: job.trial.number == 5
    stage.value = lambda job: None if job.trial.number == 5 else 1.0
    job = stage.create(max_jobs=6, max_parallel_jobs=1, early_stopping="Auto")
    while len(trials_of(job)) < 5 or trials_of(job)[4].training_job is None:
        tuning_job_step(tuning_job_id=job.pk)
        for running in TrainingJob.objects.filter(status="InProgress", trial__number__lt=5):
            stage.prints(running, [2.0] * 9)
            stage.end(running)
    bad = TrainingJob.objects.get(trial__number=5)
    stage.prints(bad, [9.0] * 6)
    job = stage.run(job)
    trial = trials_of(job)[4]
    assert (trial.status, trial.value, len(trial.steps)) == ("EarlyStopped", 9.0, 6)
    assert "stopped early after 6 steps: 9.0 is worse than the median" in trial.explanation
    assert statuses(job).count("Completed") == 5
    assert job.best_trial is not None and job.best_trial.value == 1.0


def test_hyperband_stops_through_the_ordinary_stop(stage: Stage) -> None:
    stage.lasts = lambda job: True
    band = {"min_resource": 1, "max_resource": 27, "resource": "num_round"}
    static = {"objective": "reg:squarederror"}
    job = stage.create(
        strategy="Hyperband", hyperband=band, static_hyperparameters=static, max_jobs=6, max_parallel_jobs=1
    )
    assert job.static_hyperparameters["num_round"] == "27"
    n = 0
    while job.status == "InProgress" and n < 60:
        n += 1
        tuning_job_step(tuning_job_id=job.pk)
        for running in TrainingJob.objects.filter(status__in=("InProgress", "Stopping")).select_related(
            "trial"
        ):
            made = running.metric_summaries.values_list("n_points", flat=True).first() or 0
            if running.status == "Stopping" or made >= 27:
                stage.value = lambda job: None
                stage.end(running)
            else:
                stage.prints(running, [float(running.trial.number)] * 9)
        job.refresh_from_db()
    assert job.status == "Completed"
    assert statuses(job)[0] == "Completed" and "EarlyStopped" in statuses(job)
    stopped = next(trial for trial in trials_of(job) if trial.status == "EarlyStopped")
    assert stopped.explanation.startswith("Hyperband stopped it after") and stopped.value is not None


def test_somebody_stops_or_deletes_the_job_of_a_trial(stage: Stage) -> None:
    stage.lasts = lambda job: job.trial.number <= 2
    job = stage.create()
    stage.turn()
    first, second = (trial.training_job for trial in trials_of(job))
    assert first is not None and second is not None
    training_job_stop(actor=stage.alice, name=first.name)
    TrainingJob.objects.filter(pk=second.pk).update(status="Completed", ended_at=clock.now())
    training_job_delete(actor=stage.alice, name=second.name)
    job = stage.run(job)
    assert statuses(job) == ["Stopped", "Failed", "Completed", "Completed"]
    assert explanations(job)[0] == f"training job {first.name} was stopped"
    assert "deleted" in explanations(job)[1]


def test_more_trials_are_given_to_one_that_is_under_way(stage: Stage) -> None:
    stage.lasts = lambda job: job.trial.number > 3
    job = stage.create()
    for _ in range(4):
        stage.turn()
    assert tuning_job_extend(actor=stage.alice, name="search", max_jobs=6).max_jobs == 6
    for wrong in (6, 3, 751, True, "7"):
        with pytest.raises(InvalidRequest, match="from 7 to 750"):
            tuning_job_extend(actor=stage.alice, name="search", max_jobs=wrong)  # type: ignore[arg-type]
    stage.lasts = lambda job: False
    job = stage.run(job)
    assert statuses(job) == ["Completed"] * 6
    with pytest.raises(Conflict, match="warm start"):
        tuning_job_extend(actor=stage.alice, name="search", max_jobs=8)


def test_who_lost_the_right_to_edit_begins_nothing_more(stage: Stage) -> None:
    stage.lasts = lambda job: True
    job = stage.create()
    stage.turn()
    Membership.objects.filter(user=stage.alice.user).update(role=Role.VIEWER)
    stage.lasts = lambda job: False
    job = stage.run(job)
    assert statuses(job) == ["Completed", "Completed"]
    assert job.status == "Completed" and "alice, in whose name this tuning job runs, may no longer edit" in (
        job.ended_because
    )


def test_data_that_is_deleted_ends_it_even_where_its_name_is_taken_again(stage: Stage) -> None:
    stage.lasts = lambda job: job.trial.number > 1
    job = stage.create(max_parallel_jobs=1)
    stage.turn()
    dataset_delete(actor=stage.alice, name="validation")
    Stage.of(stage.alice)
    assert Dataset.objects.filter(name="validation").exists()
    job = stage.run(job)
    assert (job.status, str(job.ended_because)) == ("Completed", "dataset validation@1 was deleted")
    assert statuses(job) == ["Completed", "Stopped"]


def test_a_name_that_somebody_else_took_is_replaced(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    job = stage.create(max_jobs=1, max_parallel_jobs=1)
    monkeypatch.setattr(tuning_actions.secrets, "token_hex", lambda n: "aa" * n)
    other = tuning_actions.training_job_create(
        actor=stage.alice,
        name="search-001-aaaaaaaa",
        algorithm="xgboost",
        hyperparameters={"num_round": 3, "objective": "reg:squarederror", "eta": 0.1, "max_depth": 2},
        channels=stage.request().channels,
    )
    tuning_job_step(tuning_job_id=job.pk)
    monkeypatch.undo()
    job = stage.run(job)
    (trial,) = trials_of(job)
    assert trial.status == "Completed" and trial.training_job_id != other.pk


# ---- whoever drives may be killed, and two may drive


@pytest.mark.parametrize("after", ["TuningTrial.row", "training_job_create"])
def test_a_driver_killed_between_row_and_job_loses_and_repeats_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    job = stage.create(max_parallel_jobs=1)
    create = tuning_actions.training_job_create

    def killed(**request: Any) -> TrainingJob:
        if after == "training_job_create":
            create(**request)
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning_actions, "training_job_create", killed)
    with pytest.raises(KeyboardInterrupt):
        tuning_job_step(tuning_job_id=job.pk)
    monkeypatch.undo()
    (begun,) = trials_of(job)
    assert begun.status == "Pending" and not TrainingJob.objects.exists()
    asker_here().close()
    job = stage.run(job)
    trials = trials_of(job)
    assert len(trials) == 4 and TrainingJob.objects.count() == 4
    assert (trials[0].parameters, trials[0].job_name) == (begun.parameters, begun.job_name)


def test_a_driver_that_is_alive_is_left_alone_and_one_that_is_gone_is_replaced_at_once(stage: Stage) -> None:
    job = stage.create()
    until = clock.now() + timedelta(seconds=20)
    TuningJob.objects.update(lease_owner=owner_new(worker_name="w"), lease_expires_at=until)
    assert tuning_job_step(tuning_job_id=job.pk) is None
    assert not trials_of(job)
    machine, _pid, _start = owner_new(worker_name="w").rsplit(":", 2)[1].split(".")
    TuningJob.objects.update(lease_owner=f"w:{machine}.4194303.1:aa")
    assert tuning_job_step(tuning_job_id=job.pk)
    job.refresh_from_db()
    assert job.lease_owner == "" and len(trials_of(job)) == 2


def test_two_drivers_at_a_time_begin_no_trial_twice(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second makes a whole pass just before the first writes what it was going to."""
    job = stage.create()
    suggest, nested = asker_here().suggest, [0]

    def interleaved(**request: Any) -> Any:
        found = suggest(**request)
        if nested[0] < 1:
            nested[0] += 1
            TuningJob.objects.update(lease_owner="", lease_expires_at=None)
            asker_here().forget(study=job.uid)
            tuning_job_step(tuning_job_id=job.pk)
        return found

    monkeypatch.setattr(asker_here(), "suggest", interleaved)
    tuning_job_step(tuning_job_id=job.pk)
    monkeypatch.undo()
    assert [trial.number for trial in trials_of(job)] == [1, 2]
    assert TrainingJob.objects.count() == 2
    stage.run(job)
    assert TrainingJob.objects.count() == 4


# ---- deleting, and what is kept of it


def test_a_tuning_job_goes_and_its_jobs_stay_or_go_too(stage: Stage) -> None:
    job = stage.create()
    with pytest.raises(Conflict, match="stop it and wait"):
        tuning_job_delete(actor=stage.alice, name="search")
    stage.run(job)
    tuning_job_delete(actor=stage.alice, name="search")
    assert not TuningTrial.objects.exists() and TrainingJob.objects.count() == 4
    stage.run(stage.create(name="second"))
    tuning_job_delete(actor=stage.alice, name="second", with_jobs=True)
    assert not TuningJob.objects.exists() and TrainingJob.objects.count() == 4


# ---- warm start


def test_a_warm_start_knows_what_its_parents_found(stage: Stage) -> None:
    stage.run(stage.create(max_jobs=6))
    assert [parent.name for parent in tuning_parents(actor=stage.alice)] == ["search"]
    warm = {"type": "IdenticalDataAndAlgorithm", "parents": ["search"]}
    child = stage.create(name="child", warm_start=warm)
    values = [row["value"] for row in child.warm_trials]
    assert len(values) == 6 and values == sorted(values)
    assert child.warm_trials[0]["tuning_job"] == "search"
    assert stage.run(child).status == "Completed"


def test_transfer_learning_tries_the_parents_best_points_first(stage: Stage) -> None:
    parent = stage.run(stage.create(max_jobs=6))
    best = parent.best_trial
    assert best is not None
    warm = {"type": "TransferLearning", "parents": ["search"]}
    child = stage.run(stage.create(name="child", warm_start=warm, max_jobs=7))
    first = trials_of(child)[0].parameters
    assert float(first["eta"]) == pytest.approx(float(best.parameters["eta"]))
    assert first["max_depth"] == best.parameters["max_depth"]


def test_a_list_of_trials_is_one_query(stage: Stage, django_assert_num_queries: Any) -> None:
    stage.run(stage.create())
    job = tuning_job_get(actor=stage.alice, name="search")
    with django_assert_num_queries(1):
        assert [trial.training_job.name for trial in tuning_trials(tuning_job=job) if trial.training_job]
