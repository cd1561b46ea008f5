"""A running job's input channels, read from files or from the FIFOs of Pipe mode in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from jobs.runner.spec import ChannelSpec
from mlplatform.core.errors import DataError
from mlplatform.core.process_memory import freed_memory_return
from mlplatform.core.tabular.schema import TableSchema
from mlplatform.core.text import text as _

if TYPE_CHECKING:
    from mlplatform.core.tabular.schema import Batch

T = TypeVar("T")


class TableChannel:
    """One channel of tabular data; satisfies `jobs.algorithms.base.ChannelInput`."""

    def __init__(self, name: str, spec: ChannelSpec, *, data_dir: Path) -> None:
        self.name = name
        self.n_rows = spec.n_rows
        self._schema = None if spec.schema is None else TableSchema.from_dict(spec.schema)
        self._pipe = spec.input_mode == "Pipe"
        self._data_dir = data_dir
        self._epoch = 0

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the feature columns; None for the service's own CSV, where only the file knows them."""
        if self._schema is None or not self._schema.columns:
            return None
        return self._schema.feature_names

    def batches(self, batch_rows: int, *, require_label: bool = False) -> Iterator[Batch]:
        """One pass over all rows; in Pipe mode each pass reads the FIFO of the next epoch.

        Raises:
            DataError: With row and column where one is at fault; the message ends with channel and file.
        """
        yield from self._each(lambda source: self._read(source, batch_rows, require_label=require_label))
        freed_memory_return()

    def _read(self, source: Path, batch_rows: int, *, require_label: bool) -> Iterator[Batch]:
        from mlplatform.core.tabular.read import read_batches

        return read_batches(source, self._schema, batch_rows=batch_rows, require_label=require_label)

    def _each(self, read: Callable[[Path], Iterator[T]]) -> Iterator[T]:
        """What is read of one source after the other; what is wrong with one is said with its place."""
        sources = self._sources()
        for source in sources:
            try:
                yield from read(source)
            except DataError as error:
                raise self._placed(error, source, sources) from error

    def _sources(self) -> Sequence[Path]:
        if self._pipe:
            pipe = self._data_dir / f"{self.name}_{self._epoch}"
            self._epoch += 1
            return [pipe]
        folder = self._data_dir / self.name
        files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
        if not files:
            raise DataError(
                _("the {name} channel has no file; give it one with at least one row", name=self.name)
            )
        return files

    def _placed(self, error: DataError, source: Path, sources: Sequence[Path]) -> DataError:
        if len(sources) > 1:
            message = _(
                "{message} ({name} channel, file {file})",
                message=error.message,
                name=self.name,
                file=source.name,
            )
        else:
            message = _("{message} ({name} channel)", message=error.message, name=self.name)
        return DataError(message, row=error.row, column=error.column, value=error.value)
