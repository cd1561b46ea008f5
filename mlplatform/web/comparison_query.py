"""The address of a comparison: which runs, and how they are looked at. Everything that can be chosen is in it.

Read by the view; written back in one canonical form, so that a link says no more than it has to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict

from endpoints.selectors.comparison import RunKind
from jobs.comparison.selection import Selection
from mlplatform.web.shortlist import search_text

_NAMES_MAX: Final = 2000
_STATES_MAX: Final = 64
_STATE_MAX_LENGTH: Final = 400
DRAWN: Final = ("axis", "brush", "pick")
"""Repeated parameters that belong to the parallel coordinates; `static/js/parallel.js` reads and writes them."""


@dataclass(frozen=True)
class ComparisonQuery:
    """What somebody wants to see.

    Args:
        base: The run against which the others are held.
        every_parameter: Also those that are the same in all runs.
        order: A column's key, with a hyphen before it for descending.
        metric: Of the curves. `x` and `y` are the keys of the scatter chart's axes.
        colour: The axis by which the parallel coordinates are coloured.
        drawn: What else is chosen in them: (parameter, value).
        pressed: Whether the address comes from a button that adds or takes out, and is not the canonical one.
    """

    kind: RunKind
    selection: Selection
    base: str = ""
    every_parameter: bool = False
    order: str = ""
    metric: str = ""
    x: str = ""
    y: str = ""
    log_scale: bool = False
    colour: str = ""
    drawn: tuple[tuple[str, str], ...] = ()
    pressed: bool = False

    @classmethod
    def of(cls, params: QueryDict) -> ComparisonQuery:
        """From a query string. What is not understood counts as not said; unknown names are the selector's affair."""
        kind = RunKind.EVALUATIONS if params.get("kind") == RunKind.EVALUATIONS else RunKind.TRAINING_JOBS
        without = frozenset(params.getlist("without")[:_NAMES_MAX])
        selection = Selection(
            names=tuple(_names(params)),
            search=search_text(params)[:100],
            status=params.get("status", "")[:40],
            algorithm=params.get("algorithm", "")[:40],
            endpoint=params.get("endpoint", "")[:63],
            everything=params.get("all") == "1",
            without=without,
        )
        text = {
            name: params.get(name, "")[:_STATE_MAX_LENGTH] for name in ("order", "metric", "x", "y", "colour")
        }
        drawn = [(name, value) for name in DRAWN for value in params.getlist(name)]
        return cls(
            kind=kind,
            selection=_tidied(selection),
            base=params.get("base", "") if params.get("base") not in without else "",
            every_parameter=params.get("show") == "all",
            log_scale=params.get("scale") == "log",
            drawn=tuple((name, value[:_STATE_MAX_LENGTH]) for name, value in drawn[:_STATES_MAX]),
            pressed="add" in params or ("without" in params and not selection.by_search),
            **text,
        )

    @property
    def who(self) -> list[tuple[str, str]]:
        """The parameters that say which runs, and nothing of how they are looked at."""
        chosen = self.selection
        single = {
            "search": chosen.search,
            "status": chosen.status,
            "algorithm": chosen.algorithm,
            "endpoint": chosen.endpoint,
            "all": "1" if chosen.everything else "",
        }
        return [
            ("kind", self.kind.value),
            *(("name", name) for name in chosen.names),
            *_said(single),
            *(("without", name) for name in sorted(chosen.without)),
        ]

    @property
    def how(self) -> list[tuple[str, str]]:
        single = {
            "base": self.base,
            "show": "all" if self.every_parameter else "",
            "order": self.order,
            "metric": self.metric,
            "x": self.x,
            "y": self.y,
            "scale": "log" if self.log_scale else "",
            "colour": self.colour,
        }
        return [*_said(single), *self.drawn]

    def url(self, path: str, *, who_only: bool = False, **more: str) -> str:
        """The canonical address at `path`, with further parameters."""
        pairs = [*self.who, *([] if who_only else self.how), *more.items()]
        return f"{path}?{urlencode(pairs)}"

    def named(self, *names: str) -> ComparisonQuery:
        """The same look at exactly these runs."""
        return replace(self, selection=Selection(names=names), base=self.base if self.base in names else "")


def _names(params: QueryDict) -> Iterator[str]:
    listed = (part.strip() for text in params.getlist("names") for part in text.split(","))
    for name in [*params.getlist("name"), *listed, *params.getlist("add")][:_NAMES_MAX]:
        if name:
            yield name[:100]


def _tidied(selection: Selection) -> Selection:
    """Without repetitions, and without exclusions of what is not there anyway."""
    names = tuple(name for name in dict.fromkeys(selection.names) if name not in selection.without)
    without = selection.without if selection.by_search else frozenset()
    return replace(selection, names=names, without=without)


def _said(values: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in values.items() if value]
