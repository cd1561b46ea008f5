"""How an exact index searches, and why: by brute force, or by a k-d tree over some columns, for single rows and for
batches. Decided when the model is trained, from what `measuring.py` found; answers are the same either way.

Pure: nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mlplatform.core.text import text as _
from mlplatform.core.text import to_json

MARGIN: Final = 1.2
"""A tree must be that many times as fast as brute force: measurements are noisy, and it costs memory."""
_SAME: Final = 1.2
"""Of trees whose gains (single rows times batches) differ by no more than this factor, the smallest is taken."""

MeasuredMs = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Timing:
    """Milliseconds that one way of searching takes; None where it was hopeless and not measured to the end."""

    single_ms: float | None = None
    batch_ms: float | None = None


@dataclass(frozen=True)
class TreePlan:
    """A tree that could be used.

    Args:
        columns: Widest first.
        n_extra: Candidates beyond k that it gives at first.
    """

    columns: tuple[int, ...]
    n_extra: int


@dataclass(frozen=True)
class EngineChoice:
    """Which way an exact index takes.

    Args:
        reason: For people.
        tree: None without one.
        for_single: Whether few rows are searched by the tree.
        for_batch: Whether many are.
        measured_ms: By way of searching: milliseconds of `batch_581` (with its number of rows) and `single`.
    """

    reason: str
    tree: TreePlan | None = None
    for_single: bool = False
    for_batch: bool = False
    measured_ms: MeasuredMs = field(default_factory=dict, compare=False)

    def to_json(self, *, k: int) -> dict[str, Any]:
        """What the model's own files say of it. No times: the same choice gives the same files."""
        return {
            "name": "tree" if self.tree else "flat",
            "single": "tree" if self.for_single else "flat",
            "batch": "tree" if self.for_batch else "flat",
            "columns": list(self.tree.columns) if self.tree else None,
            "n_candidates": k + self.tree.n_extra if self.tree else None,
        }

    def facts(self, *, k: int) -> dict[str, Any]:
        """What the model's manifest says of it: also why (in English, and as a template), and the times."""
        said = {"reason": str(self.reason), "said": to_json(self.reason)}
        return self.to_json(k=k) | said | {"measured_ms": self.measured_ms}

    @classmethod
    def from_json(cls, data: Any, *, k: int) -> EngineChoice:
        """Raises ValueError, KeyError or TypeError for what `to_json` does not give."""
        if data["name"] == "flat":
            return cls("")
        plan = TreePlan(tuple(int(column) for column in data["columns"]), int(data["n_candidates"]) - k)
        if data["name"] != "tree" or not plan.columns or plan.n_extra < 0:
            raise ValueError(f"the engine {data['name']!r} has no columns or too few candidates")
        return cls("", plan, data["single"] == "tree", data["batch"] == "tree")


def tree_select(flat: Timing, trees: Sequence[tuple[TreePlan, Timing]]) -> TreePlan | None:
    """The tree that is worth a closer look; None where brute force is as good as any."""
    scored = [(_score(flat, timing), plan) for plan, timing in trees]
    best = max((score for score, _plan in scored), default=1.0)
    if best <= 1.0:
        return None
    good = [plan for score, plan in scored if score * _SAME >= best]
    return min(good, key=lambda plan: len(plan.columns))


def engine_decide(
    flat: Timing, plan: TreePlan, tree: Timing, *, n_columns: int, measured_ms: MeasuredMs
) -> EngineChoice:
    """The choice between brute force and one tree, measured side by side."""
    single, batch = _gain(flat.single_ms, tree.single_ms), _gain(flat.batch_ms, tree.batch_ms)
    for_single, for_batch = single >= MARGIN, batch >= MARGIN
    n = len(plan.columns)
    if for_single and for_batch:
        reason = _(
            "k-d tree over {n} of {d} columns, {batch} times as fast as brute force for batches, "
            "{single} for single rows",
            n=n,
            d=n_columns,
            batch=f"{batch:.1f}",
            single=f"{single:.1f}",
        )
    elif for_single:
        reason = _(
            "k-d tree over {n} of {d} columns for single rows, {single} times as fast as brute force; "
            "brute force for batches",
            n=n,
            d=n_columns,
            single=f"{single:.1f}",
        )
    elif for_batch:
        reason = _(
            "k-d tree over {n} of {d} columns for batches, {batch} times as fast as brute force; "
            "brute force for single rows",
            n=n,
            d=n_columns,
            batch=f"{batch:.1f}",
        )
    else:
        return flat_only(measured_ms)
    return EngineChoice(reason, plan, for_single, for_batch, measured_ms)


def flat_only(measured_ms: MeasuredMs) -> EngineChoice:
    """Brute force, since every tree that was measured is slower, or hardly faster."""
    if len(measured_ms) < 2:
        return EngineChoice(_("brute force: all rows are equal"), measured_ms=measured_ms)
    reason = _("brute force: no k-d tree is at least {margin} times as fast on these rows", margin=MARGIN)
    return EngineChoice(reason, measured_ms=measured_ms)


def _score(flat: Timing, tree: Timing) -> float:
    """How much is gained in all; 1 for nothing."""
    gains = (_gain(flat.single_ms, tree.single_ms), _gain(flat.batch_ms, tree.batch_ms))
    score = 1.0
    for gain in gains:
        score *= gain if gain >= MARGIN else 1.0
    return score


def _gain(flat_ms: float | None, tree_ms: float | None) -> float:
    return flat_ms / tree_ms if flat_ms and tree_ms else 0.0
