"""How far a k-NN job says it is."""

from __future__ import annotations

import pytest

from jobs.algorithms.knn.stages import Stages

VALUES = {
    "sample_size": 200_000,
    "index_type": "faiss.Flat",
    "_faiss_index_nprobe": 5,
    "_faiss_index_hnsw_ef_construction": 40,
}


@pytest.mark.parametrize("n_train", [None, 1, 112, 522_910])
@pytest.mark.parametrize("n_test", [None, 0, 38, 58_101])
@pytest.mark.parametrize("n_lists", [0, 1, 447])
@pytest.mark.parametrize("index_type", ["faiss.Flat", "faiss.HNSW32"])
def test_stages_follow_each_other_and_leave_room_for_the_end(
    n_train: int | None, n_test: int | None, n_lists: int, index_type: str
) -> None:
    values = VALUES | {"index_type": index_type}
    stages = Stages.of(n_train=n_train, n_test=n_test, n_lists=n_lists, values=values)
    assert 0 < stages.read <= stages.trained <= stages.adding(0.5) <= stages.added
    assert stages.added <= stages.chosen <= stages.scored(0.5) <= stages.scored(1) < 1


def test_scoring_against_a_large_sample_is_nearly_all_of_the_work() -> None:
    stages = Stages.of(n_train=522_910, n_test=58_101, n_lists=0, values=VALUES)
    assert stages.chosen < 0.15
    assert stages.scored(0.5) == pytest.approx(0.55, abs=0.05)


def test_without_a_test_channel_reading_is_most_of_the_work() -> None:
    assert Stages.of(n_train=522_910, n_test=0, n_lists=447, values=VALUES).read > 0.3
    stages = Stages.of(n_train=522_910, n_test=0, n_lists=0, values=VALUES)
    assert stages.read > 0.5
    assert stages.chosen > 0.98


def test_clustering_has_its_share() -> None:
    stages = Stages.of(n_train=522_910, n_test=0, n_lists=447, values=VALUES)
    assert stages.trained - stages.read > stages.read


def test_linking_a_graph_is_nearly_all_of_the_work() -> None:
    values = VALUES | {"index_type": "faiss.HNSW32"}
    stages = Stages.of(n_train=522_910, n_test=0, n_lists=0, values=values)
    assert stages.added - stages.read > 0.8
    assert stages.adding(0.5) == pytest.approx(0.55, abs=0.05)
