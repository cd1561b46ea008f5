"""How far an evaluation is and how long it will still take, told at most twice a second. Stages and rates; no I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Literal

Stage = Literal["quality", "latency", "statistics"]

TELL_EVERY_S: Final = 0.5
_STATISTICS_S: Final = 0.5


@dataclass
class _Work:
    """One stage's share."""

    total: int
    done: int = 0
    each_s: float | None = None

    @property
    def left_s(self) -> float | None:
        n_left = self.total - self.done
        return 0.0 if not n_left else None if self.each_s is None else n_left * self.each_s


class Progress:
    """Told what is done; tells `say` the member `progress` of an evaluation.

    Args:
        n_batches, n_single: How many calls there are to make.
        clock: Seconds.
    """

    def __init__(
        self,
        say: Callable[[dict[str, Any]], None],
        *,
        n_rows: int,
        n_batches: int,
        n_single: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._say = say
        self._n_rows = n_rows
        self._clock = clock
        self._work: dict[Stage, _Work] = {
            "quality": _Work(n_batches),
            "latency": _Work(n_single),
            "statistics": _Work(1, each_s=_STATISTICS_S),
        }
        self._began_at = self._stage_began_at = clock()
        self._told_at = float("-inf")
        self._fraction = 0.0

    def single_takes(self, seconds: float) -> None:
        """What one call with one row took, before the stage of those begins."""
        self._work["latency"].each_s = seconds

    def begin(self, stage: Stage) -> None:
        self._stage_began_at = self._clock()
        self._tell(stage)

    def done(self, stage: Stage, n: int) -> None:
        """`n` of the stage's calls have been answered."""
        work, now = self._work[stage], self._clock()
        work.done = n
        if n:
            work.each_s = (now - self._stage_began_at) / n
        if now - self._told_at >= TELL_EVERY_S:
            self._tell(stage)

    def _tell(self, stage: Stage) -> None:
        work, self._told_at = self._work[stage], self._clock()
        spent_s = self._told_at - self._began_at
        lefts = [each.left_s for each in self._work.values()]
        eta_s = None if None in lefts else sum(left for left in lefts if left is not None)
        if eta_s is not None and spent_s + eta_s > 0:
            # An estimate that grows must not make what is done look less.
            self._fraction = max(self._fraction, spent_s / (spent_s + eta_s))
        self._say(
            {
                "stage": stage,
                "done": work.done,
                "total": work.total,
                "fraction": round(self._fraction, 4),
                "eta_s": None if eta_s is None else round(eta_s, 1),
                "n_rows": self._n_rows,
            }
        )
