"""Source code as coloured lines, for the pages that show it: the file of a job, and what two jobs' files differ in.

Pygments names the tokens, `static/css/components/source.css` gives them the colours of the page's theme. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from pygments import lex
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

COLOURED_CHARACTERS_MAX: Final = 200_000
"""A file that is longer is shown without colours: finding tokens takes some 5 s per MB."""
CONTEXT_LINES: Final = 3
DIFF_LINES_MAX: Final = 2000


@dataclass(frozen=True)
class DiffLine:
    """A line of a difference: `sign` is "+", "-", a space, or "@" for where lines are left out."""

    sign: str
    text: str
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True)
class FileDiff:
    """A file that differs: `state` is added, removed or changed; `lines` is empty where it is no text."""

    path: str
    state: str
    lines: tuple[DiffLine, ...]
    n_added: int
    n_removed: int
    cut: bool = False


@lru_cache(maxsize=64)
def code_lines(path: str, text: str) -> tuple[SafeString, ...]:
    """The lines of a file as HTML, each complete in itself."""
    plain = text.removesuffix("\n").split("\n")
    if len(text) > COLOURED_CHARACTERS_MAX:
        return tuple(escape(line) for line in plain)
    coloured = _coloured(_lexer(path), text)
    # A lexer that normalises something would shift every link to a line: then rather no colours.
    return coloured if len(coloured) == len(plain) else tuple(escape(line) for line in plain)


def files_differences(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> list[FileDiff]:
    """What differs between two folders, in the order of the paths; None is a file that is no text.

    Both map the paths of all files to their text with `\\n` as line end.
    """
    found = []
    for path in sorted({*before, *after}):
        if path in before and path in after and before[path] == after[path]:
            continue
        state = "added" if path not in before else "removed" if path not in after else "changed"
        found.append(_difference(path, state, before.get(path), after.get(path)))
    return found


def _difference(path: str, state: str, before: str | None, after: str | None) -> FileDiff:
    if (state != "added" and before is None) or (state != "removed" and after is None):
        return FileDiff(path, state, (), 0, 0)
    old, new = (before or "").splitlines(), (after or "").splitlines()
    lines = list(_diff_lines(old, new))
    added, removed = (sum(line.sign == sign for line in lines) for sign in "+-")
    return FileDiff(path, state, tuple(lines[:DIFF_LINES_MAX]), added, removed, len(lines) > DIFF_LINES_MAX)


def _diff_lines(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffLine]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > 20_000)
    for group in matcher.get_grouped_opcodes(CONTEXT_LINES):
        if group[0][1] > 0 or group[0][3] > 0:
            yield DiffLine("@", "")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
                    yield DiffLine(" ", old[i], i + 1, j + 1)
                continue
            for i in range(i1, i2):
                yield DiffLine("-", old[i], before=i + 1)
            for j in range(j1, j2):
                yield DiffLine("+", new[j], after=j + 1)


def _coloured(lexer: Lexer, text: str) -> tuple[SafeString, ...]:
    lines: list[list[str]] = [[]]
    for kind, value in lex(text.removesuffix("\n"), lexer):
        name = _class(kind)
        first, *others = value.split("\n")
        for number, piece in enumerate((first, *others)):
            if number:
                lines.append([])
            if piece:
                said = escape(piece)
                lines[-1].append(f'<span class="tok-{name}">{said}</span>' if name else said)
    return tuple(mark_safe("".join(line)) for line in lines)


def _class(kind: Any) -> str:
    """The short name of a token's type, or of the nearest type above it that has one."""
    while kind not in STANDARD_TYPES and kind.parent is not None:
        kind = kind.parent
    name = STANDARD_TYPES.get(kind, "")
    return "" if name in {"w", "p", "n", "err"} else name


def _lexer(path: str) -> Lexer:
    try:
        return get_lexer_for_filename(path.rpartition("/")[2], stripnl=False, ensurenl=False)
    except ClassNotFound:
        return TextLexer(stripnl=False, ensurenl=False)
