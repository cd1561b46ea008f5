"""How far a k-NN job says it is."""

from __future__ import annotations

import pytest

from jobs.algorithms.knn.stages import Stages

VALUES = {"sample_size": 200_000, "_faiss_index_nprobe": 5}


@pytest.mark.parametrize("n_train", [None, 1, 112, 522_910])
@pytest.mark.parametrize("n_test", [None, 0, 38, 58_101])
@pytest.mark.parametrize("n_lists", [0, 1, 447])
def test_stages_follow_each_other_and_leave_room_for_the_end(
    n_train: int | None, n_test: int | None, n_lists: int
) -> None:
    stages = Stages.of(n_train=n_train, n_test=n_test, n_lists=n_lists, values=VALUES)
    assert 0 < stages.read <= stages.trained <= stages.added <= stages.scored(0.5) <= stages.scored(1) < 1


def test_scoring_against_a_large_sample_is_nearly_all_of_the_work() -> None:
    stages = Stages.of(n_train=522_910, n_test=58_101, n_lists=0, values=VALUES)
    assert stages.added < 0.05
    assert stages.scored(0.5) == pytest.approx(0.5, abs=0.05)


def test_without_a_test_channel_reading_is_nearly_all_of_the_work() -> None:
    assert Stages.of(n_train=522_910, n_test=0, n_lists=0, values=VALUES).read > 0.9


def test_clustering_has_its_share() -> None:
    stages = Stages.of(n_train=522_910, n_test=0, n_lists=447, values=VALUES)
    assert stages.trained - stages.read > stages.read
