"""Which runs are to be compared: by their names, by what lists search for, or both. Django-free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from jobs.comparison.runs import N_MAX, N_MIN
from mlplatform.core.errors import InvalidRequest, NotFound
from mlplatform.core.text import text as _

_NAMES_SHOWN = 10


@dataclass(frozen=True)
class Selection:
    """The runs named, and those that match where anything is searched for, but for those in `without`.

    Args:
        names: In the order in which they are compared.
        search: Part of the name.
        algorithm: Of jobs and of the models that were evaluated.
        endpoint: That was evaluated; jobs have none.
        everything: All runs match; the other conditions still hold.
    """

    names: tuple[str, ...] = ()
    search: str = ""
    status: str = ""
    algorithm: str = ""
    endpoint: str = ""
    everything: bool = False
    without: frozenset[str] = frozenset()

    @property
    def by_search(self) -> bool:
        return self.everything or bool(self.search or self.status or self.algorithm or self.endpoint)


@dataclass(frozen=True)
class Candidate:
    """A run that could be added. `related` is one that was made from a chosen one, or from which one was made."""

    name: str
    status: str
    about: str
    created_at: datetime
    related: bool = False


class RunsNotFound(NotFound):
    """Some of the runs named are not there; `names` has them."""

    def __init__(self, message: str, names: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.names = tuple(names)


def names_shown(names: Iterable[str]) -> str:
    """Names for a message, of very many the first ten."""
    found = list(names)
    shown = ", ".join(f"“{name[:63]}”" for name in found[:_NAMES_SHOWN])
    return f"{shown} … ({len(found)})" if len(found) > _NAMES_SHOWN else shown


def number_check(n: int) -> None:
    """Raises InvalidRequest unless so many runs can be compared."""
    if n > N_MAX:
        raise InvalidRequest.for_field(
            "name",
            _(
                "{n} are too many; {max} can be compared at once. Name fewer, or search for less",
                n=n,
                max=N_MAX,
            ),
        )
    if n < N_MIN:
        raise InvalidRequest.for_field(
            "name", _("{n} is too few; name {min} to {max} to compare", n=n, min=N_MIN, max=N_MAX)
        )
