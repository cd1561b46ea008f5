"""Everything that can happen to jobs, in any order: the promises hold after every step, and all jobs end.

The model and what it compares are in `life`. Longer, with new courses each time: see `tests.profiles`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs.services import sweeping
from jobs.services.lifecycle import LEASE_S
from tests.driven_clock import clock_driven
from tests.jobs.training.cast import Cast
from tests.jobs.training.life import ENDS, STAGES, Attempt, Known, Life, interrupted_by
from tests.memory_broker import memory_broker
from tests.profiles import machine_settings
from tests.transitions import transitions_recorded

NAMES = ["one", "two", "three"]
WORKERS = ["w1", "w2", "w3"]
JUMPS_S = [-86400, -3600, -40, 29, 3600]
any_of = st.integers(0, 999)
"""Which of those there are: the number modulo how many."""


@pytest.fixture
def life(threads_cast: Cast, tmp_path: Path) -> Iterator[Life]:
    with clock_driven(sweeping) as clock, memory_broker() as broker, transitions_recorded() as transitions:
        yield Life(threads_cast, clock, broker, transitions, tmp_path)


def test_whatever_happens_to_jobs_the_promises_hold_and_all_jobs_end(life: Life) -> None:
    class Jobs(JobMachine):
        stage = life

    run_state_machine_as_test(Jobs, settings=machine_settings(n_examples=30, n_steps=30))


class JobMachine(RuleBasedStateMachine):
    """One step is one operation, or two of which the second comes in between."""

    stage: Life

    @initialize()
    def begin(self) -> None:
        stage = self.stage
        self.life = Life(stage.cast, stage.clock, stage.broker, stage.transitions, stage.folder)
        self.life.beat()
        self.actors = [stage.cast.alice, stage.cast.bob, stage.cast.charlie]
        self.life.create(stage.cast.alice, "one")
        self.life.create(stage.cast.charlie, "one")
        self.life.check()

    # ---- people

    @rule(who=st.sampled_from([0, 0, 1, 2]), name=st.sampled_from(NAMES))
    def create(self, who: int, name: str) -> None:
        if who != 1:
            self.life.create(self.actors[who], name)

    @rule(who=any_of, name=st.sampled_from(NAMES))
    def stop(self, who: int, name: str) -> None:
        self.life.stop(self.actors[who % 3], name)

    @rule(who=any_of, name=st.sampled_from(NAMES))
    def delete(self, who: int, name: str) -> None:
        self.life.delete(self.actors[who % 3], name)

    # ---- messages and workers

    @precondition(lambda self: self.life.row_ids)
    @rule(n=any_of, worker=st.sampled_from(WORKERS), times=st.integers(1, 3))
    def deliver(self, n: int, worker: str, times: int) -> None:
        for _ in range(times):
            self.life.deliver(self.life.row_ids[n % len(self.life.row_ids)], worker)

    @rule(worker=st.sampled_from(WORKERS), is_lost=st.booleans())
    def deliver_what_was_sent(self, worker: str, is_lost: bool) -> None:
        for message in self.life.broker.take():
            if not is_lost:
                self.life.deliver(message.object_id, worker)

    @rule(n=any_of, stage=st.sampled_from(STAGES), note=st.booleans())
    def move(self, n: int, stage: str, note: bool) -> None:
        self.life.move(self.attempt(n), stage)
        if note and self.life.attempts:
            self.life.note(self.attempt(n + 1))

    @rule(n=any_of, lines=st.lists(st.sampled_from(["", "x", "日本" * 9, "y" * 20000]), max_size=3))
    def write(self, n: int, lines: list[str]) -> None:
        self.life.write(self.attempt(n), lines, len(lines))

    @rule(n=any_of, end=st.sampled_from(sorted(ENDS)), upload=st.booleans())
    def finish(self, n: int, end: str, upload: bool) -> None:
        attempt = self.attempt(n)
        if upload:
            self.life.upload(attempt)
            self.life.check()
        self.life.finish(attempt, end)

    @rule(n=any_of)
    def release(self, n: int) -> None:
        self.life.release(self.attempt(n))

    @rule(worker=st.sampled_from(WORKERS), has_stored=st.booleans())
    def kill(self, worker: str, has_stored: bool) -> None:
        for attempt in self.life.attempts:
            if has_stored and attempt.lease.owner == worker:
                self.life.upload(attempt)
        self.life.kill(worker)

    @rule(n=any_of, worker=st.sampled_from(WORKERS), again=st.booleans())
    def hang_and_write_late(self, n: int, worker: str, again: bool) -> None:
        """A worker is silent for longer than its lease, others go on with its job, and then it wakes."""
        late = self.attempt(n)
        self.life.clock.go_on(LEASE_S + 1)
        self.life.sweep()
        self.life.check()
        if again:
            self.life.deliver(late.job.row_id, worker)
        self.life.write(late, ["too late"], 1)
        self.life.note(late)
        self.life.move(late, STAGES[n % 3])

    # ---- the platform and time

    @rule(offset=st.integers(0, 60000))
    def sweep(self, offset: int) -> None:
        self.life.sweep()
        for job in self.life.jobs.values():
            self.life.check_log_from(job, offset % (len(job.log) + 1))

    @rule(seconds=st.sampled_from([1, 6, 20, 31, 200]), jump=st.sampled_from([0, 0, *JUMPS_S]))
    def time_passes(self, seconds: int, jump: int) -> None:
        self.life.clock.go_on(seconds)
        self.life.clock.jump(jump)
        self.life.beat()

    # ---- one in the middle of the other

    @precondition(lambda self: self.life.jobs)
    @rule(which=any_of, first=any_of, n=any_of, rival_n=any_of, after=st.integers(0, 3))
    def two_at_once(self, which: int, first: int, n: int, rival_n: int, after: int) -> None:
        with interrupted_by(lambda: self.any_operation(which, rival_n), after=after):
            self.any_operation(first, n)

    def any_operation(self, which: int, n: int) -> None:
        """One of those that race with one another, about a job that is there, if it still is."""
        if not self.life.jobs:
            return
        job = self.job(n)
        operations: list[Callable[[], object]] = [
            lambda: self.life.stop(job.owner, job.name),
            lambda: self.life.delete(job.owner, job.name),
            lambda: self.life.create(job.owner, job.name),
            lambda: self.life.deliver(job.row_id, WORKERS[n % 3]),
            self.life.sweep,
        ]
        if self.life.attempts:
            attempt = self.attempt(n)
            operations += [
                lambda: self.life.finish(attempt, "Completed"),
                lambda: self.life.release(attempt),
                lambda: self.life.renew(attempt),
                lambda: self.life.write(attempt, ["at once"], 1),
            ]
        operations[which % len(operations)]()

    # ---- always

    @invariant()
    def promises(self) -> None:
        self.life.check()

    def teardown(self) -> None:
        try:
            if hasattr(self, "life"):
                self.life.come_to_rest()
        finally:
            self.stage.close()

    def job(self, n: int) -> Known:
        return list(self.life.jobs.values())[n % len(self.life.jobs)]

    def attempt(self, n: int) -> Attempt:
        """One of those that workers have, held or lost; where none has any, a worker takes a job first."""
        if not self.life.attempts:
            waiting = [job for job in self.life.jobs.values() if not job.is_over and job.holder is None]
            if not waiting:
                self.life.create(self.actors[0], f"more-{len(self.life.row_ids)}")
                waiting = list(self.life.jobs.values())[-1:]
            self.life.deliver(waiting[n % len(waiting)].row_id, WORKERS[n % 3])
        return self.life.attempts[n % len(self.life.attempts)]
