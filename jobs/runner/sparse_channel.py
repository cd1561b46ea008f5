"""A channel of LibSVM text: as a table's (`jobs.runner.channels`), but how wide it is only its largest index tells.

So its files are read once for that before the first pass, and another channel is as wide as train is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.runner.channels import TableChannel
from jobs.runner.spec import ChannelSpec

if TYPE_CHECKING:
    from mlplatform.core.tabular.schema import Batch


class SparseChannel(TableChannel):
    """One channel; satisfies `jobs.algorithms.base.ChannelInput`.

    Args:
        absent: What a column has that a row leaves out: 0, or NaN for a missing value.
        like: The channel whose width this one has; None: its own.
    """

    def __init__(
        self,
        name: str,
        spec: ChannelSpec,
        *,
        data_dir: Path,
        absent: float,
        like: SparseChannel | None = None,
    ) -> None:
        super().__init__(name, spec, data_dir=data_dir)
        self._absent = absent
        self._like = like

    @cached_property
    def width(self) -> int:
        """How many feature columns it has. Raises DataError, as `batches` does."""
        return max(self._each(self._width)) if self._like is None else self._like.width

    def _read(self, source: Path, batch_rows: int, *, require_label: bool) -> Iterator[Batch]:
        from mlplatform.core.tabular.libsvm import libsvm_batches
        from mlplatform.core.tabular.source import open_source

        with open_source(source) as stream:
            yield from libsvm_batches(
                stream, n_features=self.width, batch_rows=batch_rows, absent=self._absent
            )

    def _width(self, source: Path) -> Iterator[int]:
        from mlplatform.core.tabular.libsvm import libsvm_width
        from mlplatform.core.tabular.source import open_source

        with open_source(source) as stream:
            yield libsvm_width(stream)
