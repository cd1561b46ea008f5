"""What a cell means: missing, a number, a truth value or text. One rule for readers and for finding types.

Policy: a cell that is one of `MISSING` (blanks around it ignored) is missing, in a text column too. A number
is written with ASCII digits, an optional point and an optional exponent. Infinities are not numbers here:
nothing that trains on a table can use one.
"""

from __future__ import annotations

import re
from typing import Final

from mlplatform.core.text import text as _

MISSING: Final = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
TRUE: Final = ("true", "True", "TRUE")
FALSE: Final = ("false", "False", "FALSE")
NUMBER_PATTERN: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
INTEGER_PATTERN: Final = r"[+-]?[0-9]+"
NOT_A_NUMBER: Final = _("is not a number")
NOT_FINITE: Final = _("is not a finite number that fits float32 (about ±3.4e38)")
NOT_BOOLEAN: Final = _("is not a truth value; use true or false")

_NUMBER = re.compile(NUMBER_PATTERN)
_MISSING = frozenset(MISSING)
_BOOLEANS = dict.fromkeys(TRUE, True) | dict.fromkeys(FALSE, False)


def number_cell(text: str) -> float | None:
    """The number, or None for a missing cell. Raises ValueError with what is wrong."""
    text = text.strip()
    if text in _MISSING:
        return None
    if _NUMBER.fullmatch(text):
        return float(text)
    raise ValueError(NOT_FINITE if text.lstrip("+-").lower() in {"inf", "infinity"} else NOT_A_NUMBER)


def boolean_cell(text: str) -> bool | None:
    """The truth value, or None for a missing cell. Raises ValueError with what is wrong."""
    text = text.strip()
    if text in _MISSING:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    raise ValueError(NOT_BOOLEAN)


def text_cell(text: str) -> str | None:
    """The text without blanks around it, or None for a missing cell."""
    text = text.strip()
    return None if text in _MISSING else text


def shown(value: object) -> str:
    """The value in quotes for a message, shortened to 80 characters, on one line."""
    text = value if isinstance(value, str) else str(value)
    return (
        "'" + (text if len(text) <= 80 else text[:77] + "...").replace("\n", "\\n").replace("\r", "\\r") + "'"
    )
