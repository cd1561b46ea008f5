"""The code of a script's job for its pages: the tab with its files, links from tracebacks to their lines, differences
between two jobs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from django.utils.safestring import SafeString

from jobs.frameworks import FRAMEWORKS
from jobs.models import TrainingJob
from jobs.selectors.sources import source_files
from mlplatform.core.people.access import Actor
from mlplatform.web.code_lines import FileDiff, code_lines, files_differences
from mlplatform.web.script_files import text_of

SHOWN_BYTES_MAX: Final = 1024**2
"""Files are shown one after the other until so much is on the page; the others can be downloaded."""
REQUIREMENTS: Final = "requirements.txt"
_FRAME = re.compile(r'File "(?P<path>[^"\n]{1,1000})", line (?P<line>\d{1,7})')


@dataclass(frozen=True)
class ShownFile:
    """A file of the tab; `lines` is None where it is no text or too much for the page."""

    path: str
    size_bytes: int
    lines: tuple[SafeString, ...] | None
    is_entry_point: bool


@dataclass(frozen=True)
class CodeComparison:
    """Two jobs' names and the files in which their scripts differ; none where they run the same source."""

    before: str
    after: str
    files: list[FileDiff]


def code_context(actor: Actor, job: TrainingJob) -> dict[str, Any]:
    """The tab with the files; empty for a job of a built-in algorithm."""
    if job.source is None:
        return {}
    contents = source_files(actor=actor, uid=job.source.uid)
    entry = job.entry_point
    shown, left = [], SHOWN_BYTES_MAX
    for path in sorted(contents, key=lambda path: (path != entry, path)):
        content = contents[path]
        text = text_of(content) if len(content) <= left else None
        left -= len(content) if text is not None else 0
        lines = None if text is None else code_lines(path, text)
        shown.append(ShownFile(path, len(content), lines, path == entry))
    requirements = text_of(contents.get(REQUIREMENTS, b"")) or ""
    return {"code_files": shown, "requirements": requirement_lines(requirements)}


def framework_title(job: TrainingJob) -> str:
    """The framework of a script's job as people write it."""
    known = FRAMEWORKS.get(job.framework)
    return known.title if known else job.framework


def requirement_lines(text: str) -> list[str]:
    """The packages that a requirements.txt asks for."""
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def source_anchor(job: TrainingJob, line: str) -> str:
    """`#train.py:L12` for a line of a traceback that names a file of the job's source; empty for every other."""
    found = _FRAME.search(line)
    if found is None or job.source is None:
        return ""
    path = source_path(found["path"], [one["path"] for one in job.source.files])
    return f"#{quote(path)}:L{found['line']}" if path else ""


def source_path(path: str, paths: Iterable[str]) -> str:
    """Which file of the source a path of the job's process is: `/opt/ml/code/src/net.py` → `src/net.py`."""
    named = path.replace("\\", "/")
    inside = named.rpartition("/code/")[2] if "/code/" in named else named.lstrip("./")
    return inside if inside in set(paths) and "/site-packages/" not in named else ""


def last_anchor(job: TrainingJob, lines: Sequence[str]) -> str:
    """Where the code was when it failed: the last line of the source that a traceback names."""
    anchors = (source_anchor(job, line) for line in reversed(lines))
    return next((anchor for anchor in anchors if anchor), "")


def code_comparison(actor: Actor, before: TrainingJob, after: TrainingJob) -> CodeComparison | None:
    """What the files of `after` differ in from those of `before`. None where one of them has no source."""
    if before.source is None or after.source is None:
        return None
    if before.source_id == after.source_id:
        return CodeComparison(before.name, after.name, [])
    texts = [
        {path: text_of(content) for path, content in source_files(actor=actor, uid=source.uid).items()}
        for source in (before.source, after.source)
    ]
    return CodeComparison(before.name, after.name, files_differences(*texts))
