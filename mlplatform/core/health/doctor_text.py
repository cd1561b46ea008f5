"""The doctor's report as plain text and as JSON-ready data: what the command prints and what is copied for support.

The text is in English, whatever the reader's language: it is made to be sent to others. No secret is ever in a finding.
"""

from __future__ import annotations

import platform
import socket
import textwrap
from collections.abc import Callable
from typing import Any, Final

from mlplatform.core.health.doctor import Finding, Level, Report
from mlplatform.core.nodes import VERSION

WIDTH: Final = 100
_WORDS: Final = {Level.FAILED: "FAILED", Level.WARNING: "WARNING", Level.OK: "ok"}
Paint = Callable[[Level, str], str]


def doctor_text(report: Report, *, paint: Paint = lambda _level, text: text) -> str:
    """The whole report.

    Args:
        paint: Colours a word by its level, for a terminal.
    """
    width = max((len(str(title)) for title in report.titles.values()), default=10)
    lines = [_head(report), ""]
    for finding in report.findings:
        lines += _lines(finding, str(report.titles.get(finding.check, finding.check)), width, paint)
    return "\n".join([*lines, "", _foot(report)])


def doctor_json(report: Report, *, say: Callable[[str], str] = str) -> dict[str, Any]:
    """The report as data, as REST and `--json` give it.

    Args:
        say: Puts a text into the reader's language.
    """
    return {
        "level": report.level.value,
        "checked_at": report.checked_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "took_s": round(report.took_s, 3),
        "version": VERSION,
        "findings": [
            {
                "check": finding.check,
                "title": say(report.titles.get(finding.check, finding.check)),
                "level": finding.level.value,
                "summary": say(finding.summary),
                "remedy": say(finding.remedy),
            }
            for finding in report.findings
        ],
    }


def _head(report: Report) -> str:
    return (
        f"mlplatform {VERSION} on {socket.gethostname()}, {report.checked_at:%Y-%m-%d %H:%M:%S} UTC; "
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}"
    )


def _lines(finding: Finding, title: str, width: int, paint: Paint) -> list[str]:
    word = _WORDS[finding.level]
    indent = " " * (9 + width + 2)
    said = textwrap.wrap(
        finding.summary, max(40, WIDTH - len(indent)), break_long_words=False, break_on_hyphens=False
    )
    lines = [
        f"{paint(finding.level, word.ljust(7))}  {title.ljust(width)}  {said[0]}",
        *(indent + part for part in said[1:]),
    ]
    if finding.remedy:
        todo = textwrap.wrap(
            finding.remedy, max(40, WIDTH - len(indent) - 3), break_long_words=False, break_on_hyphens=False
        )
        lines += [f"{indent}{'-> ' if number == 0 else '   '}{part}" for number, part in enumerate(todo)]
    return lines


def _foot(report: Report) -> str:
    counts = {level: sum(finding.level == level for finding in report.findings) for level in Level}
    told = f"{counts[Level.FAILED]} failed, {counts[Level.WARNING]} warnings, {counts[Level.OK]} ok"
    return f"{told}; looked for {report.took_s:.1f} s"
