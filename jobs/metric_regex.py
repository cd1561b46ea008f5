"""Metric definitions: a name and a regular expression whose first group is the value. Django-free.

Only RE2 is used, because its time is linear in the text; what RE2 refuses (look-around, back-references, huge
repetitions) is refused here with its reason. Called by the job service, by the worker for every line, and by
the tester.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import re2

from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.text import text as _

DEFINITIONS_MAX: Final = 40
NAME_MAX: Final = 255
REGEX_MAX: Final = 500
PROGRAM_BYTES: Final = 1 << 20
TEXT_MAX_BYTES: Final = 1 << 20
_FEW: Final = 4
"""So many searches in a line cost less than finding out which of them are worth it."""


@dataclass(frozen=True)
class MetricDefinition:
    name: str
    regex: str


@dataclass(frozen=True)
class Match:
    """A value found: `line` counts from 1 in the text given."""

    name: str
    value: float
    line: int


class MetricMatcher:
    """Compiled definitions, asked line by line, or for many lines at once."""

    def __init__(self, definitions: Iterable[MetricDefinition]) -> None:
        definitions = list(definitions)
        self._patterns = [(definition.name, _compile(definition.regex)) for definition in definitions]
        self._filter = _filter_of(definitions)

    def values_of(self, lines: bytes) -> list[tuple[str, float]]:
        """What `values` finds in every line of `lines`, each of which is ended by a newline.

        Most lines match no definition, and of those that do most match the same few: a look at all lines together
        for the texts without which a definition cannot match costs a few nanoseconds a byte, a search 3 µs.
        """
        patterns = self._possible(lines)
        if not patterns:
            return []
        found: list[tuple[str, float]] = []
        for line in lines.split(b"\n")[:-1]:
            for name, pattern in patterns if len(patterns) <= _FEW else self._possible(line):
                match = pattern.search(line)
                value = None if match is None else _number(match)
                if value is not None:
                    found.append((name, value))
        return found

    def _possible(self, text: bytes) -> list[tuple[str, re2._Regexp]]:
        """The definitions that may match in it."""
        indices: list[int] = [] if self._filter is None else self._filter.Match(text, potential=True) or []
        return [self._patterns[index] for index in indices]

    def values(self, line: bytes) -> list[tuple[str, float]]:
        """Name and value of every definition that matches the line; a group that is no number is passed over."""
        found = []
        for name, pattern in self._patterns:
            match = pattern.search(line)
            value = None if match is None else _number(match)
            if value is not None:
                found.append((name, value))
        return found

    def not_numbers(self, line: bytes) -> list[tuple[str, str]]:
        """Name and group of every definition that matches the line with a group that is no number. For the tester."""
        found = []
        for name, pattern in self._patterns:
            match = pattern.search(line)
            if match is not None and _number(match) is None:
                text = next((group for group in match.groups() if group is not None), b"")
                found.append((name, text.decode("utf-8", "replace")))
        return found

    def places(self, line: bytes) -> list[tuple[str, float, int, int]]:
        """The same with the place of each number in the line, in bytes: begin and end. For the tester."""
        found = []
        for name, pattern in self._patterns:
            match = pattern.search(line)
            value = None if match is None else _number(match)
            if match is not None and value is not None:
                group = next(n for n, text in enumerate(match.groups(), start=1) if text is not None)
                found.append((name, value, *match.span(group)))
        return found


def metric_definition_check(definitions: Sequence[Mapping[str, Any]]) -> list[MetricDefinition]:
    """The definitions of a request. Raises InvalidRequest with every field that is wrong."""
    errors: list[FieldError] = []
    if len(definitions) > DEFINITIONS_MAX:
        message = _("has {n} definitions; use at most {limit}", n=len(definitions), limit=DEFINITIONS_MAX)
        raise InvalidRequest.for_field("metric_definitions", message)
    checked = [_check(index, definition, errors) for index, definition in enumerate(definitions)]
    _names_unique(checked, errors)
    if errors:
        raise InvalidRequest.for_fields(errors)
    return checked


def metric_matches(definitions: Sequence[Mapping[str, Any]], text: str) -> list[Match]:
    """What the definitions find in `text`, for the tester. Raises InvalidRequest as `metric_definition_check`
    does.
    """
    if len(text) > TEXT_MAX_BYTES:
        raise InvalidRequest.for_field(
            "text",
            _("has {n} characters; use at most {limit}", n=f"{len(text):,}", limit=f"{TEXT_MAX_BYTES:,}"),
        )
    matcher = MetricMatcher(metric_definition_check(definitions))
    return [
        Match(name, value, number)
        for number, line in enumerate(text.splitlines(), start=1)
        for name, value in matcher.values(line.encode("utf-8", "replace"))
    ]


def _check(index: int, definition: Mapping[str, Any], errors: list[FieldError]) -> MetricDefinition:
    field = f"metric_definitions[{index}]"
    name, regex = definition.get("name"), definition.get("regex")
    unknown = sorted(set(definition) - {"name", "regex"})
    if unknown:
        errors.append(
            FieldError(
                f"{field}.{unknown[0]}", _("is not a field of a metric definition; use name and regex")
            )
        )
    if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX or not name.isprintable():
        errors.append(
            FieldError(
                f"{field}.name", _("must be a text of 1 to {limit} printable characters", limit=NAME_MAX)
            )
        )
    if not isinstance(regex, str) or not 0 < len(regex) <= REGEX_MAX:
        shown = _("has {n} characters", n=len(regex)) if isinstance(regex, str) else _("is missing")
        errors.append(
            FieldError(
                f"{field}.regex",
                _("{said}; use a regular expression of 1 to {limit} characters", said=shown, limit=REGEX_MAX),
            )
        )
    else:
        reason = _refusal(regex)
        if reason:
            errors.append(FieldError(f"{field}.regex", reason))
    return MetricDefinition(name=str(name), regex=str(regex))


def _names_unique(definitions: Sequence[MetricDefinition], errors: list[FieldError]) -> None:
    seen: set[str] = set()
    for index, definition in enumerate(definitions):
        if definition.name in seen:
            message = _(
                "{name} is used twice; give every metric a name of its own", name=repr(definition.name)
            )
            errors.append(FieldError(f"metric_definitions[{index}].name", message))
        seen.add(definition.name)


def _refusal(regex: str) -> str:
    """Why the expression cannot be used, or an empty text."""
    try:
        pattern = _compile(regex)
    except UnicodeEncodeError:
        return "has characters that are no text; use valid Unicode"
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args else "not valid"
        return (
            f"{regex[:80]!r} is not accepted: {reason}; use RE2 syntax (no look-around, no back-references, "
            "at most 1000 repetitions)"
        )
    if pattern.groups < 1:
        return f"{regex[:80]!r} has no group; put the number in parentheses, for instance loss=([0-9.]+)"
    return ""


def _compile(regex: str) -> re2._Regexp:
    # Lines are matched as bytes that are always valid UTF-8.
    return re2.compile(regex.encode(), _options())


def _filter_of(definitions: Sequence[MetricDefinition]) -> re2.Filter | None:
    """Tells which definitions may match a text, by the letters that they cannot do without."""
    if not definitions:
        return None
    found = re2.Filter()
    for definition in definitions:
        found.Add(definition.regex.encode(), _options())
    found.Compile()
    return found


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PROGRAM_BYTES
    return options


def _number(match: re2._Match) -> float | None:
    text = next((group for group in match.groups() if group is not None), None)
    if text is None or len(text) > 64 or b"_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None
