"""gzip by ISA-L, which packs many times as fast as zlib and unpacks up to twice as fast. Django-free.

What it packs can be told from zlib's by its bytes, not by its content, and depends on the kind of processor.
"""

from __future__ import annotations

from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import BinaryIO, Final, cast

from isal import igzip, isal_zlib

_LEVEL: Final = 1
"""Of 0 to 3, which differ by a tenth in size and by half in time."""
GZIP_DAMAGED: Final[tuple[type[Exception], ...]] = (
    EOFError,
    BadGzipFile,
    cast(type[Exception], isal_zlib.error),
)
"""What reading raises of data that is damaged or cut off."""


def gzip_reading(source: Path | BinaryIO) -> GzipFile:
    """The content of a file, or of a stream that stays open, unpacked. Reading raises GZIP_DAMAGED."""
    if isinstance(source, Path):
        return cast(GzipFile, igzip.open(source, "rb"))  # type: ignore[no-untyped-call]
    return cast(GzipFile, igzip.IGzipFile(fileobj=source, mode="rb"))  # type: ignore[no-untyped-call]


def gzip_writing(target: BinaryIO) -> GzipFile:
    """Packs into a stream that stays open. Neither a name nor a time goes in, so that equal content stays equal."""
    return cast(
        GzipFile,
        igzip.IGzipFile("", "wb", _LEVEL, target, mtime=0),  # type: ignore[no-untyped-call]
    )
