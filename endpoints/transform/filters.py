"""Filters of records: the part of JSONPath that the managed service takes. Pure, Django-free.

`$` is the whole record; `.name`, `['name']` and `[1]` step into it; `['a','b']`, `[1,3]`, `[2:5]` and `*` choose
several parts, numbers may be negative. Of an object several names give an object with those alone, everything else
that chooses several gives a list. The row of a table is a list; where its columns have names, they choose cells too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlplatform.core.text import text as _

LENGTH_MAX: Final = 63
"""As the service: characters of a filter."""
WHOLE: Final = "$"
_NAME: Final = re.compile(r"[^\W\d][\w-]*")
_NUMBER: Final = re.compile(r"-?\d{1,9}")
_SPACE: Final = re.compile(r"[ \t]*")

Part = str | int | slice


class FilterError(ValueError):
    """A filter that cannot be read; the message says where, counted from 1."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class FilterMiss(ValueError):
    """A record does not have what the filter asks for."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Step:
    """One step: the parts it chooses; none for all of them. `several` gives a list, or an object, of the chosen."""

    parts: tuple[Part, ...]
    several: bool


@dataclass(frozen=True)
class RecordFilter:
    """A filter that was read; see `filter_parse`."""

    text: str
    steps: tuple[Step, ...]

    @property
    def is_whole(self) -> bool:
        return not self.steps

    def apply(self, record: Any, *, names: Mapping[str, int] | None = None) -> Any:
        """What the filter chooses of the record.

        Args:
            names: Column name → position, where the record is the row of a table that has names.

        Raises:
            FilterMiss: The record does not have it.
        """
        found, spread = record, False
        for number, step in enumerate(self.steps):
            known = names if number == 0 else None
            found = [_take(step, one, known) for one in found] if spread else _take(step, found, known)
            if step.several and isinstance(found, dict):
                found = list(found.values()) if number + 1 < len(self.steps) else found
            spread = spread or step.several
        return found

    def columns(self, n_columns: int, *, names: Mapping[str, int] | None = None) -> list[int]:
        """Positions of the cells that are left of a row with so many. Raises FilterMiss."""
        found = self.apply(list(range(n_columns)), names=names)
        return list(found) if isinstance(found, list) else [found]


def filter_parse(text: str) -> RecordFilter:
    """The filter that `text` is. Raises FilterError."""
    if len(text) > LENGTH_MAX:
        raise FilterError(_("has {n} characters; use at most {limit}", n=len(text), limit=LENGTH_MAX))
    return RecordFilter(text, tuple(_Reading(text).steps()))


def all_but(position: int, n_columns: int) -> str:
    """The filter that leaves one column of so many out."""
    before = "" if position == 0 else "0" if position == 1 else f"0:{position}"
    rest = n_columns - position - 1
    after = "" if rest == 0 else str(position + 1) if rest == 1 else f"{position + 1}:{n_columns}"
    return f"$[{','.join(part for part in (before, after) if part)}]"


def _take(step: Step, value: Any, names: Mapping[str, int] | None) -> Any:
    if not step.parts:
        return _all(value)
    if not step.several:
        return _one(step.parts[0], value, names)
    if isinstance(value, dict):
        return {str(part): _one(part, value, names) for part in step.parts}
    found: list[Any] = []
    for part in step.parts:
        if isinstance(part, slice):
            found += _list(value, part)[part]
        else:
            found.append(_one(part, value, names))
    return found


def _all(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(_list(value, slice(None)))


def _one(part: Part, value: Any, names: Mapping[str, int] | None) -> Any:
    if isinstance(part, str):
        return _named(part, value, names)
    if isinstance(part, slice):
        return _list(value, part)[part]
    items = _list(value, part)
    if not -len(items) <= part < len(items):
        raise FilterMiss(_("has {n} items; there is no [{position}]", n=len(items), position=part))
    return items[part]


def _named(name: str, value: Any, names: Mapping[str, int] | None) -> Any:
    if isinstance(value, dict):
        if name not in value:
            known = ", ".join(map(str, list(value)[:10]))
            raise FilterMiss(_("has no “{name}”; it has {known}", name=name[:63], known=known[:200]))
        return value[name]
    if isinstance(value, list) and names:
        if name not in names or names[name] >= len(value):
            known = ", ".join(list(names)[:10])
            raise FilterMiss(_("has no column “{name}”; it has {known}", name=name[:63], known=known[:200]))
        return value[names[name]]
    raise FilterMiss(_("is no object with names, so that it has no “{name}”", name=name[:63]))


def _list(value: Any, part: Part) -> Sequence[Any]:
    if isinstance(value, list):
        return value
    raise FilterMiss(_("is no list, so that it has no [{position}]", position=_shown(part)))


def _shown(part: Part) -> str:
    if not isinstance(part, slice):
        return str(part)
    begin, end = ("" if edge is None else str(edge) for edge in (part.start, part.stop))
    return f"{begin}:{end}"


class _Reading:
    """Reads one filter from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def steps(self) -> list[Step]:
        self._expect("$", _("a filter begins with $"))
        steps = []
        while self._at < len(self._text):
            if self._is("."):
                steps.append(self._dotted())
            elif self._is("["):
                steps.append(self._bracketed())
            else:
                raise self._wrong(_("use .name or […] here"))
        return steps

    def _dotted(self) -> Step:
        self._at += 1
        if self._is("*"):
            self._at += 1
            return Step((), several=True)
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise self._wrong(_("a name or * follows the point; other names are written ['…']"))
        self._at = match.end()
        return Step((match.group(),), several=False)

    def _bracketed(self) -> Step:
        self._at += 1
        self._skip()
        if self._is("*"):
            self._at += 1
            self._skip()
            self._expect("]", _("] follows the *"))
            return Step((), several=True)
        parts = [self._part()]
        while self._is(","):
            self._at += 1
            self._skip()
            parts.append(self._part())
        self._expect("]", _("use , or ] here"))
        if len({isinstance(part, str) for part in parts}) > 1:
            raise FilterError(
                _("{text}: one pair of brackets has names or numbers, not both", text=self._text)
            )
        return Step(tuple(parts), several=len(parts) > 1 or isinstance(parts[0], slice))

    def _part(self) -> Part:
        part = self._quoted() if self._is("'") or self._is('"') else self._number_or_range()
        self._skip()
        return part

    def _quoted(self) -> str:
        quote = self._text[self._at]
        end = self._text.find(quote, self._at + 1)
        if end < 0:
            raise self._wrong(_("this quotation mark is never closed"))
        name = self._text[self._at + 1 : end]
        if not name:
            raise self._wrong(_("the name between the quotation marks is empty"))
        self._at = end + 1
        return name

    def _number_or_range(self) -> Part:
        begin = self._number()
        self._skip()
        if not self._is(":"):
            if begin is None:
                raise self._wrong(_("use a number, a range such as 2:5, a name in quotation marks or * here"))
            return begin
        self._at += 1
        self._skip()
        return slice(begin, self._number())

    def _number(self) -> int | None:
        match = _NUMBER.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return int(match.group())

    def _is(self, letter: str) -> bool:
        return self._text.startswith(letter, self._at)

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _expect(self, letter: str, reason: str) -> None:
        if not self._is(letter):
            raise self._wrong(reason)
        self._at += len(letter)

    def _wrong(self, reason: str) -> FilterError:
        found = repr(self._text[self._at]) if self._at < len(self._text) else _("the end")
        return FilterError(
            _(
                "{text} cannot be read at character {position}, {found}: {reason}",
                text=repr(self._text),
                position=self._at + 1,
                found=found,
                reason=reason,
            )
        )
