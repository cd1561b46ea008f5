"""The index against brute force in float64: exact where it promises so, close where it approximates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobs.algorithms.knn.index.neighbour_index import NeighbourIndex

BASE = {
    "index_type": "faiss.Flat",
    "index_metric": "L2",
    "_faiss_index_nprobe": 5,
    "_faiss_index_hnsw_ef_construction": 40,
    "_faiss_index_hnsw_ef_search": 64,
    "_seed": 0,
}


def built(X: np.ndarray, *, n_lists: int = 1, n_threads: int = 1, **values) -> NeighbourIndex:
    return NeighbourIndex.build(X.copy(), BASE | values, n_lists=n_lists, n_threads=n_threads)


def brute_force(X: np.ndarray, Q: np.ndarray, k: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Exact distances and positions, ties by position."""
    X, Q = X.astype(np.float64), Q.astype(np.float64)
    cost = -(Q @ X.T) if metric == "INNER_PRODUCT" else ((Q[:, None] - X[None]) ** 2).sum(2)
    order = np.argsort(cost, axis=1, kind="stable")[:, :k]
    cost = np.take_along_axis(cost, order, 1)
    return (-cost if metric == "INNER_PRODUCT" else cost), order


def _written(index: NeighbourIndex, path: Path) -> Path:
    index.write(path)
    return path


def random_rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("metric", ["L2", "INNER_PRODUCT"])
@pytest.mark.parametrize("k", [1, 5, 120])
@pytest.mark.parametrize("n_queries", [1, 9, 10, 300])
def test_flat_search_is_exact_for_single_queries_and_batches(metric, k, n_queries):
    # Small whole numbers: float32 is exact, and there are many ties.
    X, Q = (np.round(4 * random_rows(n, 17, seed=n)) for n in (2000, n_queries))
    distances, positions = built(X, index_metric=metric, n_threads=2).search(Q, k)
    expected, order = brute_force(X, Q, k, metric)
    assert np.array_equal(distances, expected)
    assert np.array_equal(positions, order)


def test_flat_search_is_exact_where_blas_alone_is_not():
    """Far from the origin |x|² + |y|² - 2xy cancels: float32 loses the differences, the proof must notice."""
    X = random_rows(3000, 8) + np.float32(3000)
    Q = X[:64] + random_rows(64, 8, seed=1) * np.float32(0.01)
    _, positions = built(X).search(Q, 3)
    _, order = brute_force(X, Q, 3, "L2")
    assert np.array_equal(positions[:, 0], np.arange(64))
    assert np.array_equal(positions, order)
    import faiss

    plain = faiss.IndexFlatL2(8)
    plain.add(X)
    faiss.cvar.distance_compute_blas_threshold = 1
    _, careless = plain.search(Q, 3)
    assert not np.array_equal(careless, order), "the case is too easy to show anything"


@pytest.mark.parametrize("n_queries", [1, 50])
@pytest.mark.parametrize("n_copies", [3, 40])
def test_of_equal_distances_the_earlier_row_comes_first(n_queries, n_copies):
    X = np.repeat(random_rows(30, 4), n_copies, axis=0)
    Q = np.repeat(X[:1], n_queries, axis=0)
    distances, positions = built(X).search(Q, 2)
    assert positions.tolist() == [[0, 1]] * n_queries
    assert distances.tolist() == [[0, 0]] * n_queries


def test_all_rows_can_be_neighbours():
    X = random_rows(20, 3)
    _, positions = built(X).search(X, 20)
    assert all(sorted(row) == list(range(20)) for row in positions.tolist())


def test_cosine_is_one_minus_the_cosine():
    X = random_rows(200, 5)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    distances, positions = built(X, index_metric="COSINE").search(X[:20], 4)
    cosine = np.einsum("ij,ikj->ik", X[:20].astype(float), X[positions].astype(float))
    np.testing.assert_allclose(distances, 1 - cosine, atol=1e-6)
    assert (np.diff(distances, axis=1) >= 0).all()


@pytest.mark.parametrize("metric", ["L2", "INNER_PRODUCT", "COSINE"])
def test_an_inverted_index_that_looks_everywhere_is_exact(metric):
    X = random_rows(1000, 6)
    if metric == "COSINE":
        X /= np.linalg.norm(X, axis=1, keepdims=True)
    inverted = built(X, index_type="faiss.IVFFlat", index_metric=metric, n_lists=20, _faiss_index_nprobe=20)
    flat = built(X, index_metric=metric)
    Q = X[:100]
    assert np.array_equal(inverted.search(Q, 5)[1], flat.search(Q, 5)[1])


def test_an_inverted_index_finds_most_neighbours():
    X, Q = random_rows(5000, 6), random_rows(200, 6, seed=1)
    _, positions = built(X, index_type="faiss.IVFFlat", n_lists=70).search(Q, 10)
    _, order = brute_force(X, Q, 10, "L2")
    found = np.mean(
        [len(set(a) & set(b)) / 10 for a, b in zip(positions.tolist(), order.tolist(), strict=True)]
    )
    assert 0.7 < found < 1


@pytest.mark.parametrize("index_metric", ["L2", "COSINE"])
def test_a_graph_finds_nearly_all_neighbours(index_metric):
    X, Q = random_rows(5000, 6), random_rows(200, 6, seed=1)
    for rows in (X, Q):
        if index_metric == "COSINE":
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    distances, positions = built(X, index_type="faiss.HNSW32", index_metric=index_metric).search(Q, 10)
    exact = built(X, index_metric=index_metric).search(Q, 10)
    found = [len(set(a) & set(b)) / 10 for a, b in zip(positions.tolist(), exact[1].tolist(), strict=True)]
    assert np.mean(found) > 0.98
    np.testing.assert_allclose(distances[:, 0], exact[0][:, 0], atol=1e-2)


def test_a_graph_keeps_as_many_rows_in_sight_as_are_asked_for():
    X = random_rows(3000, 6)
    index = built(X, index_type="faiss.HNSW32", _faiss_index_hnsw_ef_search=1)
    _, positions = index.search(X[:30], 500)
    _, order = brute_force(X, X[:30], 500, "L2")
    assert (positions >= 0).all()
    found = [len(set(a) & set(b)) for a, b in zip(positions.tolist(), order.tolist(), strict=True)]
    assert np.mean(found) > 450


def test_rows_that_a_graph_cannot_reach_are_searched_exactly():
    """Copies of one row fill each other's links, so that nothing leads from them to the others."""
    X = np.repeat(random_rows(5, 4), 400, axis=0)
    index = built(X, index_type="faiss.HNSW32")
    _, positions = index.search(X[::100].copy(), 900)
    assert all(len(set(row)) == 900 for row in positions.tolist())
    assert (positions >= 0).all()


def test_moving_rows_into_lists_gives_the_index_that_faiss_would_make(tmp_path):
    import faiss

    X = np.round(2 * random_rows(200_000, 5))
    index = built(X, index_type="faiss.IVFFlat", n_lists=17)
    plain = faiss.read_index(str(_written(index, tmp_path / "ours")))
    plain.reset()
    plain.add(X)
    faiss.write_index(plain, str(tmp_path / "plain"))
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "plain").read_bytes()


def test_rows_of_another_owner_can_be_moved_into_lists_too():
    X = random_rows(3000, 4)
    owned = built(X, index_type="faiss.IVFFlat", n_lists=10)
    values = BASE | {"index_type": "faiss.IVFFlat"}
    seen = NeighbourIndex.build(np.vstack([X, X])[:3000], values, n_lists=10, n_threads=1)
    assert np.array_equal(owned.search(X[:50], 7)[1], seen.search(X[:50], 7)[1])


@pytest.mark.parametrize("index_type", ["faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ", "faiss.HNSW32"])
def test_adding_says_how_far_it_is_and_ends_whole(index_type):
    said: list[float] = []
    values = BASE | {"index_type": index_type, "faiss_index_pq_m": 2}
    X = random_rows(5000, 4)
    NeighbourIndex.build(X, values, n_lists=10, n_threads=1, on_added=said.append)
    assert said == sorted(said)
    assert said[-1] == 1


def test_a_compressed_index_finds_neighbours_that_are_near():
    X, Q = random_rows(5000, 8), random_rows(200, 8, seed=1)
    index = built(X, index_type="faiss.IVFPQ", faiss_index_pq_m=4, n_lists=20)
    _, positions = index.search(Q, 10)
    expected, _ = brute_force(X, Q, 10, "L2")
    actual = ((Q[:, None] - X[positions]) ** 2).sum(2)
    assert actual.mean() < 1.3 * expected.mean()


@pytest.mark.parametrize("index_type", ["faiss.IVFFlat", "faiss.IVFPQ"])
def test_an_inverted_index_never_returns_fewer_neighbours_than_asked_for(index_type):
    X = random_rows(300, 8)
    index = built(X, index_type=index_type, faiss_index_pq_m=4, n_lists=100, _faiss_index_nprobe=1)
    _, positions = index.search(X[:30], 60)
    assert (positions >= 0).all()
    assert all(len(set(row)) == 60 for row in positions.tolist())


@pytest.mark.parametrize("index_type", ["faiss.IVFFlat", "faiss.IVFPQ", "faiss.HNSW32"])
def test_more_threads_give_the_same_neighbours(index_type):
    X, Q = random_rows(2000, 8), random_rows(3000, 8, seed=1)
    one, two = (built(X, index_type=index_type, faiss_index_pq_m=4, n_lists=40, n_threads=n) for n in (1, 2))
    for left, right in zip(one.search(Q, 7), two.search(Q, 7), strict=True):
        assert np.array_equal(left, right)


@pytest.mark.parametrize(
    "given",
    [{"index_type": "faiss.IVFFlat"}, {"index_type": "faiss.HNSW32", "_faiss_index_hnsw_ef_search": 7}],
)
def test_a_seed_clusters_and_links_in_its_own_way(given):
    X, Q = random_rows(5000, 8), random_rows(500, 8, seed=1)
    found = [built(X, n_lists=40, _seed=seed, **given).search(Q, 7)[1] for seed in (1, 1, 2)]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@pytest.mark.parametrize("index_type", ["faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ", "faiss.HNSW32"])
def test_an_index_comes_back_from_its_file(index_type, tmp_path):
    X = random_rows(500, 8)
    index = built(X, index_type=index_type, faiss_index_pq_m=4, n_lists=10)
    index.write(tmp_path / "model")
    loaded = NeighbourIndex.read(tmp_path / "model", metric="L2", nprobe=5, ef_search=64, n_threads=1)
    assert (len(loaded), loaded.dim) == (500, 8)
    for left, right in zip(index.search(X[:40], 5), loaded.search(X[:40], 5), strict=True):
        assert np.array_equal(left, right)


def test_a_damaged_header_does_not_make_faiss_allocate(tmp_path):
    path = tmp_path / "model"
    built(random_rows(50, 4)).write(path)
    content = bytearray(path.read_bytes())
    size = content.index((50 * 4).to_bytes(8, "little"))
    content[size : size + 8] = (10**11).to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a readable faiss index"):
        NeighbourIndex.read(path, metric="L2", nprobe=5, n_threads=1)


def test_an_index_of_another_kind_is_refused(tmp_path):
    import faiss

    faiss.write_index(faiss.IndexLSH(8, 16), str(tmp_path / "model"))
    with pytest.raises(ValueError, match="IndexLSH"):
        NeighbourIndex.read(tmp_path / "model", metric="L2", nprobe=5, n_threads=1)
