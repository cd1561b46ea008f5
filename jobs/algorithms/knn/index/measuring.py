"""Measures brute force and k-d trees on rows of the sample itself, side by side, and has one of them chosen.

In processor time, which other work on the machine disturbs least, and a few seconds at most: of a very large sample a
random part is searched, batches get smaller where brute force takes long, and a tree that is slower from its first rows
on is given up.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.knn.index.choice import (
    EngineChoice,
    Timing,
    TreePlan,
    engine_decide,
    flat_only,
    tree_select,
)
from jobs.algorithms.knn.index.columns import column_sets
from jobs.algorithms.knn.index.flat import WIDEST, FlatVectors
from jobs.algorithms.knn.index.neighbours import Neighbours
from jobs.algorithms.knn.index.tree import ColumnTree
from mlplatform.core.text import text as _

LEAST_ROWS: Final = 20_000
"""With fewer rows brute force takes milliseconds, and measuring would take longer than it ever saves."""
BATCH_ROWS: Final = 581
_FEWEST_BATCH_ROWS: Final = 32
_BATCH_CELLS: Final = 1.6e10
"""Brute force compares about that many numbers in half a second."""
_MOST_CELLS: Final = 2**26
"""A larger sample is measured by a random part of that size: with more rows brute force only falls behind."""
_SINGLE_ROWS: Final = 32
_PROBED_ROWS: Final = 4
_NEED_ROWS: Final = 128
_ROUNDS: Final = 3
_CERTAIN_PERCENT: Final = 99
"""For so many of the measured rows the first candidates shall do."""

Search = Callable[[NDArray[np.float32], int], Neighbours]


def engine_choose(
    vectors: FlatVectors, *, k: int, seed: int, check_stop: Callable[[], None] = lambda: None
) -> EngineChoice:
    """The way to search `vectors` for k neighbours.

    Args:
        check_stop: Called between measurements.
    """
    if vectors.is_inner:
        return EngineChoice(_("brute force: a tree cannot search by inner product"))
    if len(vectors) < LEAST_ROWS:
        return EngineChoice(_("brute force: fewer than {n} rows need nothing faster", n=f"{LEAST_ROWS:,}"))
    if 2 * k > WIDEST:
        return EngineChoice(_("brute force: for so many neighbours no tree pays"))
    return _Measuring(vectors, k=k, seed=seed, check_stop=check_stop).choose()


class _Measuring:
    """A row of the sample finds itself first, which a question does not; so one neighbour more is asked for."""

    def __init__(self, vectors: FlatVectors, *, k: int, seed: int, check_stop: Callable[[], None]) -> None:
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._vectors = self._part(vectors)
        self._k = k + 1
        self._check_stop = check_stop
        n, d = len(self._vectors), self._vectors.dim
        n_batch = int(np.clip(_BATCH_CELLS / (n * d), _FEWEST_BATCH_ROWS, BATCH_ROWS))
        self._batch = self._vectors.rows[self._random.choice(n, n_batch, replace=False)]
        self._said: dict[str, dict[str, float]] = {}

    def choose(self) -> EngineChoice:
        flat = self._timing(self._vectors.search)
        self._note("flat", flat)
        trees = []
        for columns in column_sets(self._vectors.rows, self._random):
            self._check_stop()
            found = self._tree(columns, flat)
            if found is not None:
                trees.append(found)
        plan = tree_select(flat, trees)
        if plan is None:
            return flat_only(self._said)
        flat, tree = self._side_by_side(plan, batch=dict(trees)[plan].batch_ms is not None)
        return engine_decide(flat, plan, tree, n_columns=self._vectors.dim, measured_ms=self._said)

    def _part(self, vectors: FlatVectors) -> FlatVectors:
        n_rows = max(LEAST_ROWS, _MOST_CELLS // vectors.dim)
        if len(vectors) <= n_rows:
            return vectors
        chosen = np.sort(self._random.choice(len(vectors), n_rows, replace=False))
        return FlatVectors.of_rows(vectors.rows[chosen], n_threads=vectors.n_threads)

    def _tree(self, columns: tuple[int, ...], flat: Timing) -> tuple[TreePlan, Timing] | None:
        """A tree's plan and times; None for one that is hopeless."""
        name = _name(columns)
        tree = ColumnTree(self._vectors, columns, n_extra=max(32, self._k // 4))
        assert flat.single_ms is not None and flat.batch_ms is not None
        probe_ms = _milliseconds(lambda: self._probe(tree)) / _PROBED_ROWS
        n_extra = self._n_extra(tree) if probe_ms < flat.single_ms else None
        if n_extra is None:
            self._said[name] = {"single": round(probe_ms, 3)}
            return None
        tree.n_extra = n_extra
        is_batch_hopeless = probe_ms * len(self._batch) > 3 * flat.batch_ms * self._vectors.n_threads
        timing = _best([self._timing(tree.search, batch=not is_batch_hopeless) for _again in range(2)])
        self._note(name, timing)
        return TreePlan(columns, n_extra), timing

    def _probe(self, tree: ColumnTree) -> None:
        for row in range(_PROBED_ROWS):
            tree.candidates(self._batch[row : row + 1], self._k + tree.n_extra)

    def _n_extra(self, tree: ColumnTree) -> int | None:
        """How many candidates more than neighbours prove nearly every row; None if too many."""
        rows, n_candidates = self._batch[:_NEED_ROWS], self._k + tree.n_extra
        while n_candidates <= min(WIDEST, len(self._vectors) // 4, 8 * self._k + 256):
            bounds, positions = tree.candidates(rows, n_candidates)
            kth = self._vectors.best(rows, positions, self._k)[0][:, -1]
            needed = 1 + np.count_nonzero(bounds <= kth[:, None], axis=1)
            enough = int(np.percentile(needed, _CERTAIN_PERCENT, method="higher"))
            if enough <= n_candidates:
                return max(2, enough - self._k + 1)
            n_candidates *= 2
        return None

    def _side_by_side(self, plan: TreePlan, *, batch: bool) -> tuple[Timing, Timing]:
        """Both in turn, so that a busy machine is busy for both."""
        tree = ColumnTree(self._vectors, plan.columns, n_extra=plan.n_extra)
        flats, trees = [], []
        for _round in range(_ROUNDS):
            self._check_stop()
            flats.append(self._timing(self._vectors.search))
            trees.append(self._timing(tree.search, batch=batch))
        flat, found = _best(flats), _best(trees)
        self._note("flat", flat)
        self._note(_name(plan.columns), found)
        return flat, found

    def _timing(self, search: Search, *, batch: bool = True) -> Timing:
        def each() -> None:
            for row in range(_SINGLE_ROWS):
                search(self._batch[row : row + 1], self._k)

        single_ms = _milliseconds(each) / _SINGLE_ROWS
        if not batch:
            return Timing(single_ms)
        return Timing(
            single_ms, _milliseconds(lambda: search(self._batch, self._k)) / self._vectors.n_threads
        )

    def _note(self, name: str, timing: Timing) -> None:
        found = {f"batch_{len(self._batch)}": timing.batch_ms, "single": timing.single_ms}
        self._said[name] = {what: round(ms, 3) for what, ms in found.items() if ms is not None}


def _name(columns: tuple[int, ...]) -> str:
    return f"tree-{len(columns)}"


def _best(timings: list[Timing]) -> Timing:
    """The least of each: whatever else the machine does can only add."""
    singles = [timing.single_ms for timing in timings if timing.single_ms is not None]
    batches = [timing.batch_ms for timing in timings if timing.batch_ms is not None]
    return Timing(min(singles), min(batches, default=None))


def _milliseconds(run: Callable[[], object]) -> float:
    """Of all processors together."""
    began_at = process_time()
    run()
    return (process_time() - began_at) * 1000
