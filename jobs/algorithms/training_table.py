"""A channel read as a whole: for algorithms that need all rows at once, in one float32 array.

Not for algorithms that can do with a batch at a time (`ChannelInput.batches`). Beside the array there is never more
than one batch in memory, and where the number of rows is known the array is made once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import ChannelInput, TrainingContext
from mlplatform.core.errors import DataError
from mlplatform.core.text import text as _

if TYPE_CHECKING:
    from mlplatform.core.tabular.schema import Batch

_BATCH_ROWS: Final = 8192
_GROWTH: Final = 1.5


@dataclass(frozen=True)
class TrainingTable:
    """All rows of a channel.

    Args:
        X: float32 [n, d]; NaN where a feature is missing, if that was allowed.
        y: float32 [n]; empty where the labels were not asked for.
        feature_names: Of the columns, None where the data has none.
    """

    X: NDArray[np.float32]
    y: NDArray[np.float32]
    feature_names: tuple[str, ...] | None

    @property
    def sample_row(self) -> list[float] | None:
        """A row without a missing value, in as few digits as give it back; None if there is none."""
        for row in self.X[:1000]:
            if np.isfinite(row).all():
                return [float(str(value)) for value in row]
        return None


def table_read(
    context: TrainingContext,
    channel_name: str,
    *,
    algorithm: str,
    labels: bool = True,
    missing: bool = False,
    n_features: int | None = None,
) -> TrainingTable:
    """Reads the channel, with an eye on a requested stop.

    Args:
        algorithm: Named in messages.
        labels: Whether every row needs a label.
        missing: Whether features may be missing.
        n_features: How many features there must be; None for the channel that says so itself.

    Raises:
        DataError: With row and column where one is at fault; also for a channel without rows.
    """
    channel = context.channels[channel_name]
    held = _Held(channel.n_rows)
    for batch in channel.batches(_BATCH_ROWS, require_label=labels):
        context.check_stop()
        if len(batch.X) == 0:
            continue
        width_check(batch, channel, n_features)
        if not missing:
            finite_check(batch, channel, algorithm=algorithm)
        held.add(batch, labels=labels)
    if held.X is None or held.n == 0:
        raise DataError(
            _("the {channel} channel has no rows; at least one row is needed", channel=channel_name)
        )
    X, y = held.release()
    return TrainingTable(X, y if labels else y[:0], channel.feature_names)


def finite_check(batch: Batch, channel: ChannelInput, *, algorithm: str) -> None:
    """Raises DataError naming the first missing feature of a batch."""
    if np.isfinite(batch.X).all():
        return
    row, position = (int(found) for found in np.argwhere(~np.isfinite(batch.X))[0])
    # Without names of its own the data is the service's CSV: where there is a label it is c0, features follow.
    names, first = channel.feature_names, int(batch.y is not None)
    raise DataError(
        _(
            "the value is missing or not a finite number; {algorithm} needs a number in every cell "
            "({channel} channel)",
            algorithm=algorithm,
            channel=channel.name,
        ),
        row=batch.first_row + row,
        column=names[position] if names else f"c{position + first}",
        value=str(batch.X[row, position]),
    )


class _Held:
    """The rows so far, in arrays that grow in place."""

    def __init__(self, n_rows: int | None) -> None:
        self.n = 0
        self.X: NDArray[np.float32] | None = None
        self._y = np.empty(0, np.float32)
        self._capacity = n_rows or 0

    def add(self, batch: Batch, *, labels: bool) -> None:
        n = self.n + len(batch.X)
        if self.X is None:
            self._capacity = max(self._capacity, n)
            self.X = np.empty((self._capacity, batch.X.shape[1]), np.float32)
            self._y = np.empty(self._capacity if labels else 0, np.float32)
        elif n > len(self.X):
            self._resize(max(n, int(len(self.X) * _GROWTH)), labels=labels)
        self.X[self.n : n] = batch.X
        if labels:
            assert batch.y is not None, "asked for with require_label"
            self._y[self.n : n] = batch.y
        self.n = n

    def release(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        assert self.X is not None
        if len(self.X) > self.n:
            self._resize(self.n, labels=len(self._y) > 0)
        return self.X, self._y

    def _resize(self, n: int, *, labels: bool) -> None:
        assert self.X is not None
        # In place, so that the rows are not in memory twice; nobody else has a view of them yet.
        self.X.resize((n, self.X.shape[1]), refcheck=False)
        if labels:
            self._y.resize((n,), refcheck=False)


def width_check(batch: Batch, channel: ChannelInput, n_features: int | None) -> None:
    """Raises DataError where there are others than `n_features` columns; None: any."""
    found = int(batch.X.shape[1])
    if n_features is not None and found != n_features:
        raise DataError(
            _(
                "the {channel} channel has {n} feature columns; the train channel has {expected}",
                channel=channel.name,
                n=found,
                expected=n_features,
            )
        )
