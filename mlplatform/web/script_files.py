"""Files of a script as its pages show them: which are text that can be edited, which file is run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from jobs.runner.source_files import entry_points

EDITED_BYTES_MAX: Final = 1024**2
"""A file that is larger is not put into the editor, nor is what comes after so much in all."""
EDITED_FILES_MAX: Final = 200
"""More fields than some thousand are not taken in one form."""
EDITED_TOTAL_BYTES_MAX: Final = 4 * 1024**2


@dataclass(frozen=True)
class ScriptFile:
    """A file of a source; `text` is None where it is no text or too large to be edited. What is `fresh` is not stored
    yet, what is `changed` is stored otherwise.
    """

    path: str
    size_bytes: int
    text: str | None
    fresh: bool = False
    changed: bool = False


def script_files(
    stored: Mapping[str, bytes], typed: Mapping[str, str], removed: Iterable[str]
) -> list[ScriptFile]:
    """What the editor shows: the stored files, with what was typed over them, in the order of their paths."""
    gone = set(removed)
    shown: dict[str, ScriptFile] = {}
    left = EDITED_TOTAL_BYTES_MAX
    for path in sorted({*stored, *typed} - gone):
        content = stored.get(path)
        if path in typed:
            size = len(typed[path].encode("utf-8", "replace"))
            changed = content is not None and text_of(content) != typed[path]
            shown[path] = ScriptFile(path, size, typed[path], fresh=content is None, changed=changed)
        elif content is not None:
            fits = len(content) <= min(EDITED_BYTES_MAX, left) and len(shown) < EDITED_FILES_MAX
            shown[path] = ScriptFile(path, len(content), text_of(content) if fits else None)
        left -= len((shown[path].text or "").encode())
    return list(shown.values())


def changes_of(
    stored: Mapping[str, bytes], typed: Mapping[str, str], removed: Iterable[str]
) -> dict[str, bytes | None]:
    """What was typed, as far as it differs from what is stored. A file keeps the line ends that it has."""
    changes: dict[str, bytes | None] = {path: None for path in removed if path in stored}
    for path, text in typed.items():
        if path in changes:
            continue
        content = stored.get(path)
        before = None if content is None else text_of(content)
        if before is None or before != text:
            ends = b"\r\n" if content is not None and b"\r\n" in content else b"\n"
            changes[path] = text.encode("utf-8", "replace").replace(b"\n", ends)
    return changes


def text_of(content: bytes) -> str | None:
    """The text of a file with `\\n` as line end, or None where it is none in UTF-8."""
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        return None


def entry_point_of(paths: Iterable[str], asked: str = "") -> str:
    """Which file is run: the one that is asked for, else the one that looks like it; `inference.py`, which a model is
    served by, only where it is asked for.
    """
    found = entry_points(paths)
    if asked in found:
        return asked
    trains = [path for path in found if path.rpartition("/")[2] != "inference.py"]
    return next(iter(trains), "" if found else asked)
