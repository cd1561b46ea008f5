"""Which column is the label."""

from __future__ import annotations

from collections.abc import Sequence

from mlplatform.core.errors import InvalidRequest
from mlplatform.core.tabular.cells import shown
from mlplatform.core.text import text as _

_N_SHOWN = 30


def label_place(label: str | int | None, columns: Sequence[str]) -> int | None:
    """Position of the label column.

    Args:
        label: A column's name, or its position from 0 (negative from the end), as a number or in digits; None
            or an empty text for no label. A name goes before a position.

    Raises:
        InvalidRequest: field `label`, with the columns there are.
    """
    if label is None or label == "":
        return None
    if isinstance(label, str) and label.strip() in columns:
        return list(columns).index(label.strip())
    try:
        place = int(label)
    except ValueError:
        raise _unknown(label, columns) from None
    if not -len(columns) <= place < len(columns):
        raise _unknown(label, columns)
    return place % len(columns)


def _unknown(label: str | int, columns: Sequence[str]) -> InvalidRequest:
    names = ", ".join(columns[:_N_SHOWN]) + (", …" if len(columns) > _N_SHOWN else "")
    return InvalidRequest.for_field(
        "label",
        _(
            "{value} is not a column; use one of {names}, or a position from 0 to {last}",
            value=shown(label),
            names=names,
            last=len(columns) - 1,
        ),
    )
