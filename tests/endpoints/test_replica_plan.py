"""What a host does with one replica: every phase of a process against every wish of the row."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from endpoints.replica_plan import (
    DRAIN_DELAY_S,
    KILLED_STARTS_MAX,
    MISSED_PINGS_MAX,
    READY_WITHIN_S,
    STOP_WITHIN_S,
    Phase,
    RowView,
    ServerView,
    Step,
    pause_after_failed_s,
    pause_s,
    replica_next,
)
from mlplatform.core.status import ReplicaStatus

R = ReplicaStatus
WANTED = RowView(R.STARTING, live=True)
DRAINING = RowView(R.DRAINING, draining_s=99.0)


def test_a_claimed_replica_is_prepared_started_and_marked_ready() -> None:
    assert replica_next(WANTED, None) is Step.PREPARE
    assert replica_next(WANTED, ServerView(Phase.PREPARING)) is None
    assert replica_next(WANTED, ServerView(Phase.PREPARED)) is Step.SPAWN
    assert replica_next(WANTED, ServerView(Phase.LOADING)) is None
    assert replica_next(WANTED, ServerView(Phase.LOADING, answers=True)) is Step.MARK_READY
    assert replica_next(RowView(R.IN_SERVICE), ServerView(Phase.READY, was_ready=True)) is None


def test_a_row_in_service_without_a_process_is_started_again() -> None:
    assert replica_next(RowView(R.IN_SERVICE, live=True), None) is Step.PREPARE


def test_a_pause_holds_the_next_start_back() -> None:
    assert replica_next(replace(WANTED, paused=True), None) is None


def test_a_server_that_never_answers_is_killed_after_the_time_limit() -> None:
    assert replica_next(WANTED, ServerView(Phase.LOADING, in_phase_s=READY_WITHIN_S)) is None
    assert replica_next(WANTED, ServerView(Phase.LOADING, in_phase_s=READY_WITHIN_S + 1)) is Step.KILL


def test_missed_pings_and_too_much_memory_end_a_ready_server() -> None:
    ready, row = ServerView(Phase.READY, was_ready=True), RowView(R.IN_SERVICE, live=True)
    assert replica_next(row, replace(ready, missed_pings=MISSED_PINGS_MAX - 1)) is None
    assert replica_next(row, replace(ready, missed_pings=MISSED_PINGS_MAX)) is Step.KILL
    assert replica_next(row, replace(ready, over_memory=True)) is Step.KILL


def test_a_server_that_was_ready_is_always_started_again() -> None:
    ended = ServerView(Phase.ENDED, was_ready=True, n_failures=50)
    assert replica_next(WANTED, ended) is Step.RESTART
    assert replica_next(WANTED, replace(ended, broken=True)) is Step.RESTART


def test_a_load_that_failed_with_an_explanation_is_not_tried_again_at_once() -> None:
    assert replica_next(WANTED, ServerView(Phase.ENDED, broken=True)) is Step.FAIL


def test_a_load_that_was_killed_is_tried_a_few_times() -> None:
    for n_failures in range(KILLED_STARTS_MAX):
        assert replica_next(WANTED, ServerView(Phase.ENDED, n_failures=n_failures)) is Step.RESTART
    assert replica_next(WANTED, ServerView(Phase.ENDED, n_failures=KILLED_STARTS_MAX)) is Step.FAIL


def test_a_failed_replica_is_tried_again_only_when_it_is_live() -> None:
    assert replica_next(RowView(R.FAILED, live=True), None) is Step.PREPARE
    assert replica_next(RowView(R.FAILED, live=True, paused=True), None) is None
    assert replica_next(RowView(R.FAILED, live=False), None) is None


def test_draining_waits_for_the_gateways_and_then_asks_the_server_to_end() -> None:
    ready = ServerView(Phase.READY, was_ready=True)
    assert replica_next(RowView(R.DRAINING, draining_s=DRAIN_DELAY_S / 2), ready) is None
    assert replica_next(DRAINING, ready) is Step.TERMINATE
    assert replica_next(DRAINING, ServerView(Phase.STOPPING)) is None
    assert replica_next(DRAINING, ServerView(Phase.STOPPING, in_phase_s=STOP_WITHIN_S + 1)) is Step.KILL
    assert replica_next(DRAINING, ServerView(Phase.ENDED)) is Step.MARK_GONE
    assert replica_next(DRAINING, None) is Step.MARK_GONE


def test_a_folder_is_not_removed_while_it_is_being_filled() -> None:
    assert replica_next(DRAINING, ServerView(Phase.PREPARING)) is None
    assert replica_next(DRAINING, ServerView(Phase.PREPARED)) is Step.MARK_GONE


def test_a_running_server_whose_row_was_given_back_and_taken_again_is_marked_ready_again() -> None:
    assert replica_next(WANTED, ServerView(Phase.READY, was_ready=True)) is Step.MARK_READY


def test_a_replica_that_is_not_ours_any_more_loses_its_process() -> None:
    assert replica_next(None, ServerView(Phase.READY)) is Step.KILL
    assert replica_next(None, ServerView(Phase.STOPPING)) is None
    assert replica_next(None, ServerView(Phase.PREPARING)) is None
    assert replica_next(None, ServerView(Phase.ENDED)) is Step.FORGET
    assert replica_next(None, None) is None


@pytest.mark.parametrize("status", list(ReplicaStatus))
def test_every_combination_has_an_answer_and_steps_on_processes_need_one(status: ReplicaStatus) -> None:
    with_process = {Phase.LOADING, Phase.READY, Phase.STOPPING}
    flags = [False, True]
    for phase, seconds, answers, broken, was_ready in itertools.product(
        Phase, [0.0, 1000.0], flags, flags, flags
    ):
        server = ServerView(phase, seconds, answers=answers, broken=broken, was_ready=was_ready)
        step = replica_next(RowView(status, live=True, draining_s=seconds), server)
        if step in {Step.KILL, Step.TERMINATE, Step.MARK_READY}:
            assert phase in with_process
        if step in {Step.MARK_GONE, Step.FORGET, Step.FAIL, Step.RESTART}:
            assert phase not in with_process


def test_pauses_grow_from_none_to_half_a_minute() -> None:
    assert [pause_s(n) for n in range(8)] == [0, 0, 1, 2, 4, 8, 16, 30]
    assert [pause_after_failed_s(n) for n in (1, 2, 3, 9)] == [10, 20, 30, 30]
