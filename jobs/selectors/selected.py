"""The rows of a selection, whatever they are rows of: training jobs here, evaluations in the room of endpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db.models import Model, QuerySet

from jobs.comparison.runs import N_MAX
from jobs.comparison.selection import RunsNotFound, Selection, number_check
from mlplatform.core.names import NAME_MAX_LENGTH

M = TypeVar("M", bound=Model)


def rows_selected(
    rows: QuerySet[M],
    matching: QuerySet[M],
    selection: Selection,
    *,
    missing: Callable[[list[str]], str],
    name: Callable[[M], str],
) -> list[M]:
    """The rows that are named in their order, then those that match, newest first. At most three queries.

    Args:
        rows: All that the reader may see.
        matching: Those of `rows` that fulfil the conditions of the selection.
        missing: Says that there is nothing of these names.
        name: Of a row.

    Raises:
        RunsNotFound: A name of the selection is not there.
        InvalidRequest: More than can be compared; fewer are the caller's affair.
    """
    wanted = [found for found in dict.fromkeys(selection.names) if found not in selection.without]
    if len(wanted) > N_MAX:
        number_check(len(wanted))
    by_name = {
        name(row): row for row in rows.filter(name__in=[found for found in wanted if _possible(found)])
    }
    unknown = [found for found in wanted if found not in by_name]
    if unknown:
        raise RunsNotFound(missing(unknown), unknown)
    found = [by_name[one] for one in wanted]
    if selection.by_search:
        matching = matching.exclude(name__in=[*by_name, *filter(_possible, selection.without)])
        room = N_MAX - len(found)
        more = list(matching.order_by("-created_at", "-pk")[: room + 1])
        if len(more) > room:
            number_check(len(found) + matching.count())
        found += more
    return found


def _possible(name: str) -> bool:
    """Whether it can be anybody's name: a database takes no NUL."""
    return len(name) <= NAME_MAX_LENGTH and "\0" not in name
