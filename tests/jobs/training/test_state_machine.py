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
from tests.driven_clock import clock_driven
from tests.jobs.training.cast import Cast
from tests.jobs.training.life import ENDS, STAGES, Attempt, Known, Life, interrupted_by
from tests.memory_broker import memory_broker
from tests.profiles import machine_settings
from tests.transitions import transitions_recorded

NAMES = ["one", "two", "three"]
WORKERS = ["w1", "w2", "w3"]
JUMPS_S = [-86400, -3600, -40, -1, 1, 10, 29, 31, 3600, 86400]
any_of = st.integers(0, 999)
"""Which of those there are: the number modulo how many."""


@pytest.fixture
def life(threads_cast: Cast, tmp_path: Path) -> Iterator[Life]:
    with clock_driven(sweeping) as clock, memory_broker() as broker, transitions_recorded() as transitions:
        yield Life(threads_cast, clock, broker, transitions, tmp_path)


def test_whatever_happens_to_jobs_the_promises_hold_and_all_jobs_end(life: Life) -> None:
    class Jobs(JobMachine):
        stage = life

    run_state_machine_as_test(Jobs, settings=machine_settings(n_examples=40, n_steps=30))


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

    @rule(worker=st.sampled_from(WORKERS))
    def deliver_what_was_sent(self, worker: str) -> None:
        for message in self.life.broker.take():
            self.life.deliver(message.object_id, worker)

    @rule()
    def lose_all_messages(self) -> None:
        self.life.broker.take()

    @precondition(lambda self: self.life.attempts)
    @rule(n=any_of, stage=st.sampled_from(STAGES))
    def move(self, n: int, stage: str) -> None:
        self.life.move(self.attempt(n), stage)

    @precondition(lambda self: self.life.attempts)
    @rule(n=any_of, lines=st.lists(st.sampled_from(["", "x", "日本" * 9, "y" * 20000]), max_size=3))
    def write(self, n: int, lines: list[str]) -> None:
        self.life.write(self.attempt(n), lines, len(lines))

    @precondition(lambda self: self.life.attempts)
    @rule(n=any_of, note=st.booleans())
    def renew(self, n: int, note: bool) -> None:
        (self.life.note if note else self.life.renew)(self.attempt(n))

    @precondition(lambda self: self.life.attempts)
    @rule(n=any_of)
    def upload(self, n: int) -> None:
        self.life.upload(self.attempt(n))

    @precondition(lambda self: self.life.attempts)
    @rule(n=any_of, end=st.sampled_from(sorted(ENDS)))
    def finish(self, n: int, end: str) -> None:
        self.life.finish(self.attempt(n), end)

    @precondition(lambda self: self.life.attempts)
    @rule(n=any_of)
    def release(self, n: int) -> None:
        self.life.release(self.attempt(n))

    @rule(worker=st.sampled_from(WORKERS))
    def kill(self, worker: str) -> None:
        self.life.kill(worker)

    # ---- the platform and time

    @rule()
    def sweep(self) -> None:
        self.life.sweep()

    @rule(seconds=st.sampled_from([1, 6, 20, 31, 200]))
    def time_passes(self, seconds: int) -> None:
        self.life.clock.go_on(seconds)
        self.life.beat()

    @rule(seconds=st.sampled_from(JUMPS_S))
    def clock_jumps(self, seconds: int) -> None:
        self.life.clock.jump(seconds)

    # ---- one in the middle of the other

    @precondition(lambda self: self.life.jobs)
    @rule(which=any_of, first=any_of, n=any_of, rival_n=any_of)
    def two_at_once(self, which: int, first: int, n: int, rival_n: int) -> None:
        with interrupted_by(lambda: self.any_operation(which, rival_n)):
            self.any_operation(first, n)

    @precondition(lambda self: self.life.jobs)
    @rule(n=any_of, offset=st.integers(0, 60000))
    def read_log(self, n: int, offset: int) -> None:
        self.life.check_log_from(self.job(n), offset)

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
        return self.life.attempts[n % len(self.life.attempts)]
