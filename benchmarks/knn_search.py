"""Neighbour search of k-NN's indexes against faiss and scipy, on UCI Covertype, side by side in one run.

    python -m benchmarks.knn_search [--rows 200000 500000] [--rounds 5] [--singles 200] [--without-graph]
                                    [--processor-time]

Needs ../shared/data/covtype. k is 100, one thread. Exact search of a batch of 581 rows and of single rows: faiss'
IndexFlatL2 as shipped, the same with its threshold for BLAS set right ("tuned"), scipy's cKDTree over all 54 columns,
and ours (`faiss.Flat`, with the engine that it chose). Then the same rows standardised, where no tree helps; then the
approximate indexes, ours against faiss called directly. Those that are compared take turns, so that a busy machine is
busy for all of them; printed is the least of the batches and the median of the single rows, in milliseconds, and how
many times as fast as tuned (or direct) that is. Where the machine is never quiet, processor time tells more than the
clock does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter, process_time
from typing import Any, Final

from benchmarks.options import options_parser
from benchmarks.verdict import verdict

K: Final = 100
N_BATCH: Final = 581
BARS: Final = {200_000: (3.5, 6.0), 500_000: (7.0, 15.0)}
"""By rows: how many times as fast as tuned brute force ours has to be, for batches and for single rows."""
BAR_SHIPPED: Final = 12.0
SHIPPED_THRESHOLD: Final = 128_000
BAR_EQUAL: Final = 1 / 1.05
VALUES: Final[dict[str, Any]] = {
    "index_metric": "L2",
    "_faiss_index_nprobe": 5,
    "_faiss_index_hnsw_ef_construction": 40,
    "_faiss_index_hnsw_ef_search": 64,
    "_seed": 0,
}
N_LISTS: Final = {200_000: 500, 500_000: 700}

Search = Callable[[Any], Any]


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 500_000])
    parser.add_argument("--rounds", type=int, default=5, help="batches of each")
    parser.add_argument("--singles", type=int, default=200, help="single rows of each")
    parser.add_argument(
        "--without-graph", action="store_true", help="leave faiss.HNSW32 out: minutes to build"
    )
    parser.add_argument("--processor-time", action="store_true", help="not by the clock: for a busy machine")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read when the libraries below are imported
        os.environ[name] = "1"
    from benchmarks.covertype import covertype_ensure, covertype_read

    covertype_ensure()
    import numpy as np

    train, test = (rows[:, :54].astype(np.float32) for rows in covertype_read())
    drawn = np.random.default_rng(1).permutation(len(train))
    for n_rows in options.rows:
        rows = train[drawn[:n_rows]]
        _exact(f"Covertype, {n_rows:,} rows", rows, test, options, bars=BARS.get(n_rows))
        mean, scale = rows.mean(axis=0), rows.std(axis=0)
        scale[scale == 0] = 1
        standard = f"Covertype standardised, {n_rows:,} rows"
        _exact(standard, (rows - mean) / scale, (test - mean) / scale, options, bars=None)
        for index_type in ("faiss.IVFFlat", "faiss.IVFPQ", "faiss.HNSW32"):
            if index_type != "faiss.HNSW32" or not options.without_graph:
                _approximate(index_type, rows, test, options)


def _exact(title: str, X: Any, Q: Any, options: Any, *, bars: tuple[float, float] | None) -> None:
    import faiss
    import numpy as np
    from scipy.spatial import cKDTree

    from jobs.algorithms.knn.index.neighbour_index import NeighbourIndex

    flat: Any = faiss.IndexFlatL2(X.shape[1])
    flat.add(X)

    def with_threshold(threshold: int) -> Search:
        def search(rows: Any) -> Any:
            faiss.cvar.distance_compute_blas_threshold = threshold
            return flat.search(rows, K)

        return search

    ours = NeighbourIndex.build(X.copy(), VALUES | {"index_type": "faiss.Flat"}, n_lists=0, n_threads=1)
    choice = ours.engine_choose(k=K, seed=0)
    assert choice is not None
    searches: dict[str, Search] = {
        "tuned": with_threshold(10 * X.shape[1]),
        "ours": lambda rows: ours.search(rows, K),
    }
    if bars is not None:
        tree = cKDTree(X.astype(np.float64))
        searches |= {
            "as shipped": with_threshold(SHIPPED_THRESHOLD),
            "cKDTree": lambda rows: tree.query(rows, K),
        }
    print(f"\n{title}: {choice.reason}")
    batch, single = _times(searches, Q, options, n_rounds=options.rounds)
    _report(batch, single, base="tuned")
    gains = (batch["tuned"] / batch["ours"], single["tuned"] / single["ours"])
    if bars is None:
        least = min(gains)
        verdict(f"{title}: speed against tuned faiss", least, BAR_EQUAL, unit="times", at_least=True)
    else:
        gain = batch["as shipped"] / batch["ours"]
        for what, value, bar in (
            ("batch against tuned faiss", gains[0], bars[0]),
            ("single rows against tuned faiss", gains[1], bars[1]),
            ("batch against faiss as shipped", gain, BAR_SHIPPED),
        ):
            verdict(f"{title}: {what}", value, bar, unit="times", at_least=True)
    without_blas: Search = with_threshold(SHIPPED_THRESHOLD)
    _compare(without_blas(Q[:N_BATCH]), searches["ours"](Q[:N_BATCH]))


def _approximate(index_type: str, X: Any, Q: Any, options: Any) -> None:
    import faiss
    import numpy as np

    from jobs.algorithms.knn.index.neighbour_index import NeighbourIndex

    values = VALUES | {"index_type": index_type, "faiss_index_pq_m": 8}
    if index_type == "faiss.IVFPQ":  # parts of seven columns
        X, Q = (np.pad(rows, ((0, 0), (0, 56 - rows.shape[1]))) for rows in (X, Q))
    n_lists = N_LISTS.get(len(X), int(len(X) ** 0.5))
    ours = NeighbourIndex.build(X.copy(), values, n_lists=n_lists, n_threads=1)
    index = ours.faiss_index
    parameters: Any
    if index_type == "faiss.HNSW32":
        parameters = faiss.SearchParametersHNSW()  # type: ignore[attr-defined]
        parameters.efSearch = max(K, VALUES["_faiss_index_hnsw_ef_search"])
    else:
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = VALUES["_faiss_index_nprobe"]

    def direct(rows: Any) -> Any:
        faiss.cvar.distance_compute_blas_threshold = SHIPPED_THRESHOLD
        return index.search(rows, K, params=parameters)

    print(f"\n{index_type}, {len(X):,} rows")
    searches: dict[str, Search] = {"direct": direct, "ours": lambda rows: ours.search(rows, K)}
    # Short batches, of which more are needed to tell five per cent.
    batch, single = _times(searches, Q, options, n_rounds=5 * options.rounds)
    _report(batch, single, base="direct")
    least = min(batch["direct"] / batch["ours"], single["direct"] / single["ours"])
    what = f"{index_type}, {len(X):,} rows: speed against faiss"
    verdict(what, least, BAR_EQUAL, unit="times", at_least=True)


def _times(
    searches: Mapping[str, Search], Q: Any, options: Any, *, n_rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds: the least of the batches, the median of the single rows."""
    clock = process_time if options.processor_time else perf_counter
    batches: dict[str, list[float]] = {name: [] for name in searches}
    singles: dict[str, list[float]] = {name: [] for name in searches}
    for _round in range(n_rounds):
        for name, search in searches.items():
            batches[name].append(_milliseconds(search, Q[:N_BATCH], clock))
    # Runs of ten, as a caller would have them: what another search left in the caches is not ours to pay.
    for start in range(0, options.singles, 10):
        for name, search in searches.items():
            rows = range(start, start + 10)
            singles[name] += [_milliseconds(search, Q[row : row + 1], clock) for row in rows]
    return (
        {name: min(times) for name, times in batches.items()},
        {name: median(times) for name, times in singles.items()},
    )


def _milliseconds(search: Search, rows: Any, clock: Callable[[], float]) -> float:
    began_at = clock()
    search(rows)
    return (clock() - began_at) * 1000


def _report(batch: dict[str, float], single: dict[str, float], *, base: str) -> None:
    print(f"  {'':12}{f'batch of {N_BATCH} ms':>18}{'times':>8}{'one row ms':>13}{'times':>8}")
    for name in batch:
        print(
            f"  {name:12}{batch[name]:18.1f}{batch[base] / batch[name]:8.2f}"
            f"{single[name]:13.3f}{single[base] / single[name]:8.2f}"
        )


def _compare(shipped: Any, ours: Any) -> None:
    """How the answers differ from brute force without BLAS: by float32 rounding, and in which of equal ones."""
    import numpy as np

    worst = float(np.max(np.abs(shipped[0] - ours[0]) / np.maximum(ours[0], 1e-30)))
    others = [
        len(set(row) - set(mine)) for row, mine in zip(shipped[1].tolist(), ours[1].tolist(), strict=True)
    ]
    print(
        f"  distances differ from brute force's by a factor of {worst:.1e} at most; of {ours[1].size:,} neighbours "
        f"{sum(others)} are others, as near",
        flush=True,
    )


if __name__ == "__main__":
    main()
