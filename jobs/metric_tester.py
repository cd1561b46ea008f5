"""The tester of metric definitions: what each finds in which lines, before a job is started with them. Django-free.

A definition that RE2 refuses is named with its reason and the others are tried all the same. Called by the pages, with
pasted lines or those of a job's log (`jobs.selectors.metric_tester`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.metric_regex import DEFINITIONS_MAX, MetricMatcher, metric_definition_check
from mlplatform.core.errors import InvalidRequest

LINES_SHOWN: Final = 200
LINE_SHOWN_BYTES: Final = 2000
GROUP_SHOWN: Final = 40
_INDEX = re.compile(r"metric_definitions\[(\d+)\]")


@dataclass(frozen=True)
class Found:
    """A value in a line: `begin` and `end` are the place of the number, in characters of the line's text."""

    name: str
    value: float
    begin: int
    end: int


@dataclass(frozen=True)
class TriedLine:
    """A line in which something was found, cut to `LINE_SHOWN_BYTES`."""

    number: int
    text: str
    found: tuple[Found, ...]


@dataclass
class TriedDefinition:
    """A definition with the number of lines that it matches, or the reason for which it is refused.

    The first and the last value are None while it matches nothing. `n_not_numbers` counts the lines that it matches
    with a group that is no number, of which `not_number` is the first.
    """

    name: str
    regex: str
    refusal: str = ""
    n_matches: int = 0
    first: float | None = None
    last: float | None = None
    n_not_numbers: int = 0
    not_number: str = ""


@dataclass(frozen=True)
class MetricTest:
    """What came of it. `lines` has the first `LINES_SHOWN` lines with a match, `n_lines` counts all that were read."""

    definitions: list[TriedDefinition]
    lines: list[TriedLine] = field(default_factory=list)
    n_lines: int = 0
    n_lines_matched: int = 0


def metric_test(definitions: Sequence[Mapping[str, Any]], lines: Iterable[tuple[int, str]]) -> MetricTest:
    """Tries the definitions on numbered lines, in time linear in their length.

    Raises:
        InvalidRequest: there are none, or more than `DEFINITIONS_MAX`.
    """
    tested = [TriedDefinition(str(one.get("name", "")), str(one.get("regex", ""))) for one in definitions]
    refusals = _refusals(definitions)
    for index, reason in refusals.items():
        tested[index].refusal = reason
    used = [index for index in range(len(tested)) if index not in refusals]
    matcher = MetricMatcher(metric_definition_check([definitions[index] for index in used]))
    by_name = {tested[index].name: tested[index] for index in used}
    shown: list[TriedLine] = []
    n_lines = n_matched = 0
    for number, text in lines:
        n_lines += 1
        raw = text.encode("utf-8", "replace")
        found = matcher.places(raw) if used else []
        for name, group in matcher.not_numbers(raw) if len(found) < len(used) else ():
            _count_other(by_name[name], group)
        if not found:
            continue
        n_matched += 1
        for name, value, _begin, _end in found:
            _count(by_name[name], value)
        if len(shown) < LINES_SHOWN:
            shown.append(_shown(number, raw, found))
    return MetricTest(tested, shown, n_lines, n_matched)


def _refusals(definitions: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """The reason of each definition that is refused, by its place."""
    try:
        metric_definition_check(definitions)
    except InvalidRequest as error:
        places = [(_INDEX.match(one.field), one.message) for one in error.errors]
        if len(definitions) > DEFINITIONS_MAX or not all(match for match, _message in places):
            raise
        found: dict[int, str] = {}
        for match, message in places:
            if match:
                found.setdefault(int(match[1]), message)
        return found
    return {}


def _count(definition: TriedDefinition, value: float) -> None:
    definition.n_matches += 1
    definition.last = value
    if definition.first is None:
        definition.first = value


def _count_other(definition: TriedDefinition, group: str) -> None:
    if not definition.n_not_numbers:
        definition.not_number = group[:GROUP_SHOWN]
    definition.n_not_numbers += 1


def _shown(number: int, raw: bytes, found: Sequence[tuple[str, float, int, int]]) -> TriedLine:
    cut = raw[:LINE_SHOWN_BYTES]
    places = [
        Found(name, value, _characters(cut, begin), _characters(cut, end))
        for name, value, begin, end in found
        if end <= len(cut)
    ]
    return TriedLine(number, cut.decode("utf-8", "replace"), tuple(places))


def _characters(raw: bytes, place: int) -> int:
    return len(raw[:place].decode("utf-8", "replace"))
