"""What a person should know of how an evaluation was measured: its warnings, but for those about labels. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from endpoints.evaluation.calls import BatchCalls
from endpoints.evaluation.collected import Collected
from endpoints.evaluation.spec import EvaluationSpec
from endpoints.evaluation.test_set import TestSet
from mlplatform.core.text import text as _


def how_sent(test_set: TestSet, spec: EvaluationSpec, batches: BatchCalls, n_repeated: int) -> Iterator[str]:
    """About the calls."""
    sizes = test_set.batch_sizes(spec.batches)
    if len(sizes) < spec.batches:
        yield _(
            "Batches are as many as the dataset has rows: {n}, not {wanted}",
            n=len(sizes),
            wanted=spec.batches,
        )
    if len(batches.sizes) > len(sizes):
        yield _(
            "Batches of {n} rows are too large for one request or its answer: they were sent in pieces of at most "
            "{n_most}",
            n=max(sizes),
            n_most=max(batches.sizes),
        )
    if n_repeated:
        yield _(
            "Calls that were sent again because the endpoint was busy or could not be reached: {n}. Only the calls "
            "that were answered are timed.",
            n=n_repeated,
        )


def how_scored(collected: Collected | None, n_neighbours: int) -> Iterator[str]:
    """About the rows and the k that have scores.

    Args:
        n_neighbours: That the endpoint answered for the first row.
    """
    if collected is None:
        return
    n_unlabelled = collected.n_rows - int(collected.has_label.sum())
    if n_unlabelled:
        yield _("Rows without a label, which are not scored: {n}", n=n_unlabelled)
    if collected.planes is None:
        if n_neighbours:
            yield _("Not every row came with {n} neighbours: there are no scores by k", n=n_neighbours)
        return
    if collected.is_cut:
        yield _(
            "Scores end at k = {k}: predictions for more would be too much for {n} rows",
            k=len(collected.planes),
            n=collected.n_rows,
        )
    if collected.n_contradictions:
        yield _(
            "Rows whose prediction is not what their {k} neighbours give together: {n}. At k = {k_own} the scores "
            "are of the endpoint's own predictions, at other k of the neighbours.",
            k=n_neighbours,
            k_own=n_neighbours,
            n=collected.n_contradictions,
        )
