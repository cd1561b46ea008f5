"""The plan of a tuning job: each rule alone, and any course of events to its end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from jobs.tuning.criteria import Criteria
from jobs.tuning.plan import (
    WITHOUT_VALUE_MAX,
    Action,
    Begin,
    Conclude,
    Create,
    End,
    Finish,
    SeenJob,
    SeenTrial,
    StopEarly,
    StopJob,
    tuning_plan,
)
from tests.jobs.tuning.world import METRIC, J, S, T, World, asked
from tests.profiles import machine_settings

RUNNING = SeenJob("t-001-aa", T.IN_PROGRESS)


def plan(*trials: SeenTrial, **values: object) -> tuple[Action, ...]:
    return tuning_plan(asked(**values), trials)


def running(number: int, **values: object) -> SeenTrial:
    return replace(SeenTrial(number, S.IN_PROGRESS, job=RUNNING), **values)  # type: ignore[arg-type]


def done(number: int, value: float) -> SeenTrial:
    return SeenTrial(number, S.COMPLETED, value)


def ended(status: T, **values: object) -> End:
    job = replace(SeenJob("j", status), **values)  # type: ignore[arg-type]
    (action,) = plan(running(1, job=job))
    assert isinstance(action, End)
    return action


# ---- beginning


def test_as_many_trials_begin_as_there_are_places_and_jobs_left() -> None:
    assert plan() == (Begin(1), Begin(2))
    assert plan(running(1)) == (Begin(2),)
    assert plan(running(1), running(2)) == ()
    assert plan(done(1, 1.0), done(2, 2.0), done(3, 3.0)) == (Begin(4),)
    assert plan(max_jobs=1) == (Begin(1),)


def test_a_trial_without_a_job_gets_one_before_others_begin() -> None:
    assert plan(SeenTrial(1, S.PENDING)) == (Create(1), Begin(2))


def test_nothing_begins_in_the_name_of_who_may_no_longer() -> None:
    assert plan(running(1), refused="bob may not") == ()
    (end,) = plan(SeenTrial(1, S.PENDING), refused="bob may not")
    assert end == End(1, S.FAILED, explanation="bob may not")
    assert plan(done(1, 1.0), refused="bob may not") == (Finish(J.COMPLETED, "bob may not"),)
    assert plan(refused="bob may not") == (Finish(J.FAILED, "bob may not"),)


# ---- ends of trials


def test_a_job_with_a_value_completes_its_trial() -> None:
    assert ended(T.COMPLETED, value=1.5) == End(1, S.COMPLETED, 1.5)


def test_a_job_that_never_printed_the_objective_is_explained() -> None:
    end = ended(T.COMPLETED)
    assert (end.status, end.explanation) == (S.NO_METRIC, f"it ended well, and never printed {METRIC}")
    assert ended(T.COMPLETED, printed=True).explanation == (
        f"the last value of {METRIC} that it printed is no finite number"
    )


def test_a_job_that_failed_is_quoted() -> None:
    end = ended(T.FAILED, value=1.0, failure="DataError: row 3")
    assert (end.status, end.value, end.explanation) == (S.FAILED, None, "DataError: row 3")


def test_a_job_that_somebody_stopped_has_no_value() -> None:
    end = ended(T.STOPPED, value=1.0)
    assert (end.status, end.value, end.explanation) == (S.STOPPED, None, "training job j was stopped")


def test_a_job_that_was_stopped_early_or_ran_out_of_its_time_keeps_its_value() -> None:
    job = SeenJob("j", T.STOPPED, value=2.0)
    (end,) = plan(running(1, job=job, explanation="worse than the median"))
    assert end == End(1, S.EARLY_STOPPED, 2.0, "worse than the median")
    timed = ended(T.STOPPED, value=2.0, failure="TimeLimit: 60 s")
    assert (timed.status, timed.value, timed.explanation) == (S.EARLY_STOPPED, 2.0, "TimeLimit: 60 s")


def test_a_job_that_ended_well_although_it_was_to_stop_is_complete() -> None:
    (end,) = plan(running(1, job=SeenJob("j", T.COMPLETED, value=2.0), explanation="worse"))
    assert end == End(1, S.COMPLETED, 2.0)


def test_a_job_that_was_deleted_fails_its_trial() -> None:
    (end,) = plan(running(1, job=None))
    assert isinstance(end, End) and end.status == S.FAILED and "deleted" in end.explanation


# ---- the end of the tuning job


def test_it_is_completed_when_all_trials_have_ended() -> None:
    trials = [done(n, float(n)) for n in range(1, 5)]
    assert plan(*trials) == (Finish(J.COMPLETED, "all 4 trials have ended"),)


def test_without_any_value_it_has_failed_for_the_reason_that_most_have() -> None:
    trials = [SeenTrial(n, S.NO_METRIC, explanation="never printed") for n in (1, 2, 3)]
    (finish,) = plan(*trials, SeenTrial(4, S.FAILED, explanation="DataError"))
    assert finish == Finish(
        J.FAILED, f"none of its 4 trials has a value of {METRIC}; 3 of them: never printed"
    )


def test_many_trials_without_a_value_are_enough() -> None:
    trials = [SeenTrial(n, S.FAILED, explanation="no") for n in range(1, WITHOUT_VALUE_MAX + 1)]
    (finish,) = plan(*trials, max_jobs=100)
    assert isinstance(finish, Finish) and finish.status == J.FAILED
    assert plan(*trials[1:], done(1, 1.0), max_jobs=100)[0] == Begin(WITHOUT_VALUE_MAX + 1)


def test_what_is_enough_stops_what_runs_and_completes() -> None:
    reached = Criteria(target_value=2.0)
    (conclude,) = plan(done(1, 1.5), running(2), criteria=reached)
    assert isinstance(conclude, Conclude) and "trial 1 has reached the target of 2.0" in conclude.reason
    stopping = {"status": J.STOPPING, "ended_because": conclude.reason}
    assert plan(done(1, 1.5), running(2), **stopping) == (StopJob(2),)
    assert plan(done(1, 1.5), running(2, job=replace(RUNNING, status=T.STOPPING)), **stopping) == ()
    stopped = SeenTrial(2, S.STOPPED, explanation="stopped")
    assert plan(done(1, 1.5), stopped, **stopping) == (Finish(J.COMPLETED, conclude.reason),)


def test_a_person_who_stops_it_has_it_stopped_whatever_it_found() -> None:
    stopping = {"status": J.STOPPING, "stop_requested": True}
    (end,) = plan(SeenTrial(1, S.PENDING), **stopping)
    assert isinstance(end, End) and end.status == S.STOPPED
    assert plan(done(1, 1.0), **stopping) == (Finish(J.STOPPED, ""),)


def test_time_is_up_even_while_trials_run() -> None:
    assert plan(running(1), out_of_time="1 s has passed") == (Conclude("1 s has passed"),)


def test_what_has_ended_plans_nothing() -> None:
    assert plan(status=J.COMPLETED) == ()


# ---- stopping early


def test_a_trial_worse_than_the_median_of_averages_is_stopped_once() -> None:
    others = [replace(done(n, 1.0), steps=[(s, 1.0) for s in range(10)]) for n in range(1, 5)]
    bad = running(5, steps=[(s, 9.0) for s in range(6)])
    actions = plan(*others, bad, max_jobs=9, max_parallel_jobs=1, early_stopping=True)
    assert [action.number for action in actions if isinstance(action, StopEarly)] == [5]
    assert "after 6 steps: 9.0 is worse" in actions[0].reason  # type: ignore[union-attr]
    told = replace(bad, explanation="worse")
    assert plan(*others, told, max_jobs=9, max_parallel_jobs=1, early_stopping=True) == ()
    assert plan(*others, bad, max_jobs=9, max_parallel_jobs=1) == ()


def test_hyperband_stops_by_its_own_verdict() -> None:
    (action,) = plan(running(1, steps=[(0, 1.0)], hyperband_stops=True), max_parallel_jobs=1)
    assert isinstance(action, StopEarly) and action.reason.startswith("Hyperband stopped it after 1 steps")


# ---- any course of events


def test_an_undisturbed_tuning_job_tries_each_number_once() -> None:
    world = World(asked(max_jobs=7, max_parallel_jobs=3))
    world.run_well()
    assert (world.asked.status, len(world.trials), world.n_jobs_made) == (J.COMPLETED, 7, 7)


class TuningMachine(RuleBasedStateMachine):
    """One step is a pass of the plan, killed in its middle or not, or something that happens to one trial."""

    world: World

    @initialize(n=st.integers(1, 6), parallel=st.integers(1, 3), early=st.booleans())
    def begin(self, n: int, parallel: int, early: bool) -> None:
        self.world = World(asked(max_jobs=n, max_parallel_jobs=min(n, parallel), early_stopping=early))

    @rule(times=st.integers(1, 3))
    def passes(self, times: int) -> None:
        for _ in range(times):
            self.world.step()

    @rule(after=st.integers(0, 3))
    def a_pass_is_killed(self, after: int) -> None:
        self.world.step(killed_after=after)

    @rule(
        n=st.integers(1, 6),
        status=st.sampled_from([T.COMPLETED, T.COMPLETED, T.FAILED, T.STOPPED]),
        value=st.sampled_from([None, 1.0, 2.0]),
    )
    def a_job_ends(self, n: int, status: T, value: float | None) -> None:
        self.world.job_ends(n, status, value=value)

    @rule(n=st.integers(1, 6))
    def a_job_is_deleted(self, n: int) -> None:
        self.world.job_deleted(n)

    @rule(n=st.integers(1, 6), steps=st.integers(0, 9), value=st.floats(0, 9))
    def a_job_prints(self, n: int, steps: int, value: float) -> None:
        self.world.steps(n, steps, value)

    @rule(refused=st.sampled_from(["", "bob may no longer edit"]))
    def rights_change(self, refused: str) -> None:
        self.world.asked = replace(self.world.asked, refused=refused)

    @rule(n=st.integers(1, 3))
    def more_is_asked_for(self, n: int) -> None:
        if self.world.asked.status == J.IN_PROGRESS:
            self.world.asked = replace(self.world.asked, max_jobs=self.world.asked.max_jobs + n)

    @rule(
        criteria=st.sampled_from([Criteria(), Criteria(target_value=1.0), Criteria(max_jobs_not_improving=1)])
    )
    def criteria_change(self, criteria: Criteria) -> None:
        self.world.asked = replace(self.world.asked, criteria=criteria)

    @rule()
    def time_is_up(self) -> None:
        self.world.asked = replace(self.world.asked, out_of_time="the longest run time has passed")

    @rule()
    def somebody_stops_it(self) -> None:
        self.world.stop()

    @invariant()
    def promises(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.run_well()


def test_whatever_happens_it_ends_and_tries_nothing_twice() -> None:
    run_state_machine_as_test(TuningMachine, settings=machine_settings(n_examples=80, n_steps=25))


@pytest.mark.parametrize("direction", ["Minimize", "Maximize"])
def test_the_target_is_reached_from_the_right_side(direction: str) -> None:
    criteria = Criteria(target_value=2.0)
    worse, better = (3.0, 1.0) if direction == "Minimize" else (1.0, 3.0)
    assert plan(done(1, worse), criteria=criteria, direction=direction)[0] == Begin(2)
    assert isinstance(plan(done(1, better), criteria=criteria, direction=direction)[0], Finish)
