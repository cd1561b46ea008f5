"""The plan of an experiment: each rule alone, and any course of events to its end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from endpoints.experiment_plan import (
    Action,
    DeleteEndpoint,
    Deploy,
    End,
    Evaluate,
    Finish,
    SeenCell,
    SeenEndpoint,
    SeenEvaluation,
    SeenJob,
    Served,
    StopEvaluation,
    StopJob,
    Train,
    Wait,
    experiment_plan,
)
from tests.endpoints.experiment_world import ALL, C, E, T, V, World, X, asked, grid
from tests.profiles import machine_settings

CPU_ONLY = Served(frozenset({"cpu"}), frozenset({"cpu"}))
NOBODY = Served(frozenset(), frozenset())
A, B, OTHER = grid(2, ("cpu", "gpu"))[:3]
DONE = SeenJob("j", T.COMPLETED)
RUNNING = SeenJob("j", T.IN_PROGRESS)


def plan(*cells: SeenCell, served: Served = ALL, **values: object) -> tuple[Action, ...]:
    return experiment_plan(asked(**values), cells, served)


def reasons(actions: tuple[Action, ...]) -> list[str]:
    return [str(action.reason) for action in actions if isinstance(action, Wait | End)]


# ---- beginning


def test_cells_begin_in_their_order_as_far_as_there_are_places() -> None:
    cells = grid(3, ("cpu",))
    first, *rest = plan(*reversed(cells))
    assert first == Train(100)
    assert reasons(tuple(rest)) == ["waits for its turn: one cell is worked on at a time"] * 2
    assert [action for action in plan(*cells, parallelism=2) if isinstance(action, Train)] == [
        Train(100),
        Train(101),
    ]


def test_a_cell_whose_training_another_has_begun_waits_without_a_place_and_the_next_one_goes_on() -> None:
    begun = plan(A, B, OTHER, parallelism=2)
    assert [action for action in begun if isinstance(action, Train)] == [Train(A.id), Train(OTHER.id)]
    assert reasons(begun) == ["waits for the training job that cell 1 has begun"]
    training = replace(A, status=C.TRAINING, job=RUNNING)
    later = plan(training, replace(B, job=RUNNING), OTHER, parallelism=2)
    assert [action for action in later if isinstance(action, Train)] == [Train(OTHER.id)]


def test_a_cell_whose_job_has_a_model_needs_no_training_but_a_place() -> None:
    at_work = replace(A, status=C.EVALUATING, job=DONE, evaluation=SeenEvaluation("v", V.IN_PROGRESS))
    trained = replace(B, job=DONE)
    assert isinstance(plan(at_work, trained)[-1], Wait)
    assert plan(at_work, trained, parallelism=2)[-1] == Train(B.id)


@pytest.mark.parametrize("skip", [False, True])
def test_a_type_that_nobody_serves_is_waited_for_or_skipped_and_holds_up_no_other(skip: bool) -> None:
    actions = plan(B, OTHER, served=CPU_ONLY, skip_unserved=skip)
    assert actions[1] == Train(OTHER.id)
    said = (
        "no host serves queue gpu, which ml.gpu.xlarge needs; start one with "
        ".venv/bin/python manage.py host --queues gpu"
    )
    assert actions[0] == (End(B.id, C.SKIPPED, said) if skip else Wait(B.id, f"waits: {said}"))


def test_nothing_is_skipped_while_the_platform_is_being_started() -> None:
    (action,) = plan(A, served=NOBODY, skip_unserved=True)
    assert isinstance(action, Wait)


def test_a_training_queue_that_nobody_serves_matters_to_those_that_are_not_trained() -> None:
    trained = replace(A, job=DONE)
    actions = plan(
        trained, OTHER, served=CPU_ONLY, training_type="ml.p3.2xlarge", training_queue="gpu", parallelism=2
    )
    assert actions[0] == Train(A.id)
    assert "no worker serves queue gpu, which training on ml.p3.2xlarge needs" in reasons(actions)[0]


def test_without_a_worker_for_evaluations_no_cell_begins() -> None:
    actions = plan(A, served=Served(frozenset({"gpu"}), frozenset({"cpu"})), training_queue="gpu")
    assert "which evaluations need" in reasons(actions)[0]


# ---- going on


def test_a_cell_is_trained_deployed_evaluated_and_its_endpoint_deleted() -> None:
    cell = replace(A, status=C.TRAINING, job=RUNNING)
    assert plan(cell) == (Wait(A.id, ""),)
    cell = replace(cell, job=DONE)
    assert plan(cell) == (Deploy(A.id),)
    cell = replace(cell, status=C.DEPLOYING)
    assert plan(cell) == (Deploy(A.id),), "its process was killed before the endpoint was made"
    cell = replace(cell, deployed=True, endpoint=SeenEndpoint("e", E.CREATING))
    assert plan(cell) == (Wait(A.id, ""),)
    cell = replace(cell, endpoint=SeenEndpoint("e", E.IN_SERVICE))
    assert plan(cell) == (Evaluate(A.id),)
    cell = replace(cell, status=C.EVALUATING, evaluation=SeenEvaluation("v", V.IN_PROGRESS))
    assert plan(cell) == (Wait(A.id, ""),)
    cell = replace(cell, evaluation=SeenEvaluation("v", V.COMPLETED))
    assert plan(cell) == (End(A.id, C.COMPLETED),)
    cell = replace(cell, status=C.COMPLETED)
    assert plan(cell) == (DeleteEndpoint(A.id),)
    cell = replace(cell, endpoint=SeenEndpoint("e", E.DELETING))
    assert plan(cell) == ()
    assert plan(replace(cell, endpoint=None)) == (Finish(X.COMPLETED),)


def test_a_place_is_free_when_the_endpoint_is_gone_and_not_before() -> None:
    ended = replace(A, status=C.COMPLETED, job=DONE, endpoint=SeenEndpoint("e", E.DELETING))
    assert not [action for action in plan(ended, OTHER) if isinstance(action, Train)]
    assert Train(OTHER.id) in plan(replace(ended, endpoint=None), OTHER)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (replace(A, status=C.TRAINING, job=SeenJob("j", T.FAILED, "bad data")), "bad data"),
        (replace(A, status=C.TRAINING, job=SeenJob("j", T.STOPPED, "out of time")), "out of time"),
        (replace(A, status=C.TRAINING), "its training job was deleted"),
        (
            replace(
                A,
                status=C.DEPLOYING,
                job=DONE,
                deployed=True,
                endpoint=SeenEndpoint("e", E.FAILED, "no index"),
            ),
            "no index",
        ),
        (
            replace(A, status=C.DEPLOYING, job=DONE, deployed=True),
            "its endpoint was deleted before it was evaluated",
        ),
        (
            replace(A, status=C.DEPLOYING, job=DONE, deployed=True, endpoint=SeenEndpoint("e", E.DELETING)),
            "its endpoint was deleted before it was evaluated",
        ),
        (
            replace(A, status=C.EVALUATING, evaluation=SeenEvaluation("v", V.FAILED, "labels")),
            "labels",
        ),
        (replace(A, status=C.EVALUATING), "its evaluation was deleted"),
        (replace(A, job=SeenJob("j", T.FAILED, "bad data")), "bad data"),
    ],
)
def test_a_cell_fails_with_the_reason_of_what_failed_and_the_rest_goes_on(
    cell: SeenCell, reason: str
) -> None:
    actions = plan(cell, OTHER, parallelism=2)
    assert actions == (End(A.id, C.FAILED, reason), Train(OTHER.id))


def test_what_a_person_stops_stops_the_cell_only() -> None:
    stopped = SeenJob("j", T.STOPPED)
    assert plan(replace(A, status=C.TRAINING, job=stopped), replace(B, job=stopped), OTHER)[:2] == (
        End(A.id, C.STOPPED, "training job j was stopped"),
        End(B.id, C.STOPPED, "training job j was stopped"),
    )
    cell = replace(A, status=C.EVALUATING, evaluation=SeenEvaluation("v", V.STOPPED))
    assert plan(cell, OTHER)[0] == End(A.id, C.STOPPED, "evaluation v was stopped")


def test_whoever_may_no_longer_edit_begins_nothing_and_what_runs_goes_on() -> None:
    said = "bob may no longer edit"
    training = replace(A, status=C.TRAINING, job=RUNNING)
    evaluating = replace(B, status=C.EVALUATING, evaluation=SeenEvaluation("v", V.IN_PROGRESS))
    actions = plan(training, evaluating, OTHER, refused=said, parallelism=3)
    assert actions == (Wait(A.id, ""), Wait(B.id, ""), End(OTHER.id, C.FAILED, said))
    for cell in (
        replace(training, job=DONE),
        replace(A, status=C.DEPLOYING, job=DONE),
        replace(A, status=C.DEPLOYING, job=DONE, deployed=True, endpoint=SeenEndpoint("e", E.IN_SERVICE)),
    ):
        assert plan(cell, refused=said) == (End(A.id, C.FAILED, said),)


def test_an_endpoint_that_a_host_should_start_says_so() -> None:
    cell = replace(B, status=C.DEPLOYING, job=DONE, deployed=True, endpoint=SeenEndpoint("e", E.CREATING))
    (action,) = plan(cell, served=CPU_ONLY)
    assert isinstance(action, Wait) and "no host serves queue gpu" in action.reason


# ---- stopping


def test_a_stop_ends_what_runs_and_then_the_cells_and_then_the_experiment() -> None:
    evaluating = replace(
        A,
        status=C.EVALUATING,
        job=DONE,
        deployed=True,
        endpoint=SeenEndpoint("e", E.IN_SERVICE),
        evaluation=SeenEvaluation("v", V.IN_PROGRESS),
    )
    training = replace(OTHER, status=C.TRAINING, job=RUNNING)
    actions = plan(evaluating, B, training, status=X.STOPPING, parallelism=3)
    assert actions == (StopEvaluation(A.id), End(B.id, C.STOPPED), StopJob(OTHER.id))
    stopping = replace(training, job=SeenJob("j", T.STOPPING))
    assert plan(stopping, status=X.STOPPING) == ()
    stopped = replace(training, job=SeenJob("j", T.STOPPED))
    assert plan(stopped, status=X.STOPPING) == (End(OTHER.id, C.STOPPED),)
    in_time = replace(evaluating, evaluation=SeenEvaluation("v", V.COMPLETED))
    assert plan(in_time, status=X.STOPPING) == (End(A.id, C.COMPLETED),), "it was done before it was stopped"
    assert plan(replace(A, status=C.STOPPED), status=X.STOPPING) == (Finish(X.STOPPED),)


def test_an_endpoint_of_a_cell_that_has_ended_is_deleted_even_when_all_has_ended() -> None:
    left = replace(A, status=C.FAILED, endpoint=SeenEndpoint("e", E.IN_SERVICE))
    for status in X:
        assert DeleteEndpoint(A.id) in plan(left, status=status)
    assert plan(replace(left, endpoint=None), status=X.COMPLETED) == ()


# ---- any course of events


def test_whatever_happens_every_cell_ends_and_no_endpoint_is_left() -> None:
    run_state_machine_as_test(ExperimentMachine, settings=machine_settings(n_examples=150, n_steps=40))


any_of = st.integers(0, 999)
SERVED = [
    ALL,
    CPU_ONLY,
    NOBODY,
    Served(frozenset({"cpu"}), frozenset()),
    Served(frozenset(), frozenset({"cpu", "gpu"})),
]


class ExperimentMachine(RuleBasedStateMachine):
    """One step is a pass of the plan, killed in its middle or not, or something that happens to one cell."""

    world: World

    @initialize(
        n_keys=st.integers(1, 3),
        queues=st.sampled_from([("cpu",), ("cpu", "gpu"), ("cpu", "cpu", "gpu")]),
        parallelism=st.integers(1, 4),
        skip=st.booleans(),
    )
    def begin(self, n_keys: int, queues: tuple[str, ...], parallelism: int, skip: bool) -> None:
        cells = {cell.id: cell for cell in grid(n_keys, queues)}
        self.world = World(asked(parallelism=parallelism, skip_unserved=skip), cells)

    @rule(times=st.integers(1, 3))
    def passes(self, times: int) -> None:
        for _ in range(times):
            self.world.step()

    @rule(times=st.integers(1, 5))
    def all_goes_well_for_a_while(self, times: int) -> None:
        for _ in range(times):
            self.world.go_well()

    @rule(after=st.integers(0, 4))
    def a_pass_is_killed(self, after: int) -> None:
        self.world.step(killed_after=after)

    @rule(n=any_of, status=st.sampled_from([T.COMPLETED, T.COMPLETED, T.FAILED, T.STOPPED, T.STOPPING]))
    def a_job_goes_on(self, n: int, status: T) -> None:
        self.world.job_ends(self.cell(n), status)

    @rule(n=any_of)
    def a_job_is_deleted(self, n: int) -> None:
        self.world.jobs_were_deleted = True
        self.world.job_deleted(self.cell(n))

    @rule(n=any_of, status=st.sampled_from([E.IN_SERVICE, E.IN_SERVICE, E.FAILED, E.DELETING, E.UPDATING]))
    def an_endpoint_changes(self, n: int, status: E) -> None:
        self.world.endpoint_becomes(self.cell(n), status)

    @rule(n=any_of)
    def an_endpoint_is_gone(self, n: int) -> None:
        self.world.endpoint_gone(self.cell(n))

    @rule(n=any_of, status=st.sampled_from([V.COMPLETED, V.COMPLETED, V.FAILED, V.STOPPED]))
    def an_evaluation_ends(self, n: int, status: V) -> None:
        self.world.evaluation_ends(self.cell(n), status)

    @rule(n=any_of)
    def an_evaluation_is_deleted(self, n: int) -> None:
        self.world.evaluation_deleted(self.cell(n))

    @rule(n=st.integers(0, len(SERVED) - 1))
    def workers_and_hosts_come_and_go(self, n: int) -> None:
        self.world.served = SERVED[n]

    @rule(refused=st.sampled_from(["", "bob may no longer edit"]))
    def rights_change(self, refused: str) -> None:
        self.world.asked = replace(self.world.asked, refused=refused)

    @rule()
    def stop(self) -> None:
        self.world.stop()

    @rule()
    def resume(self) -> None:
        self.world.resume()

    @invariant()
    def promises(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.run_well()

    def cell(self, n: int) -> int:
        return list(self.world.cells)[n % len(self.world.cells)]
