"""Cells of an experiment as its pages show them: their names, their colours, what was measured, how far they are.

Pure: rows of cells in, views of them out. Called by the page's context, charts and forms.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _

from endpoints.models import ExperimentCell
from endpoints.selectors.experiment_tables import cell_cost_per_million_rows
from jobs.instance_types import instance_type_get
from jobs.pricing import CURRENCY_SHIPPED
from mlplatform.core.status import TERMINAL_CELL, CellStatus
from mlplatform.web.templatetags.figures import count

DRAWN_MAX: Final = 20
"""More lines than these in one chart cannot be told apart; which ones are drawn can be chosen."""
LABEL_MAX: Final = 22
_BEFORE: Final = {CellStatus.TRAINING: 0.05, CellStatus.DEPLOYING: 0.35, CellStatus.EVALUATING: 0.4}
"""How much of a cell is behind it when a stage begins."""


@dataclass(frozen=True)
class CellView:
    """A cell and its place in the grid from 0, which is its colour in every chart and table."""

    cell: ExperimentCell
    place: int

    @property
    def number(self) -> int:
        """As people and addresses count."""
        return self.place + 1

    @property
    def variant(self) -> str:
        """The configuration with its sample size, which are one training job: `Flat 200,000`."""
        size = self.cell.sample_size
        return f"{self.cell.configuration} {count(size)}" if size else self.cell.configuration

    @property
    def name(self) -> str:
        return f"{self.variant} · {self.cell.instance_type}"

    @property
    def short(self) -> str:
        """The same without the type where the longest ones would leave no room: `a-long-configurati… 200,000`."""
        configuration = self.cell.configuration
        if len(configuration) > LABEL_MAX:
            configuration = f"{configuration[: LABEL_MAX - 1]}…"
        return f"{configuration} {count(self.cell.sample_size)}" if self.cell.sample_size else configuration

    @property
    def label(self) -> str:
        """The name in a legend."""
        return f"{self.short} · {self.cell.instance_type}"

    @property
    def summary(self) -> Mapping[str, Any]:
        """What was measured in short; empty while there is nothing."""
        evaluation = self.cell.evaluation
        return (evaluation.summary or {}) if evaluation is not None else {}

    @property
    def measured(self) -> bool:
        return self.cell.status == CellStatus.COMPLETED and bool(self.summary)

    @property
    def ended(self) -> bool:
        return self.cell.status in TERMINAL_CELL

    @property
    def price_per_hour(self) -> float | None:
        facts = self.cell.evaluation.facts if self.cell.evaluation is not None else {}
        return facts.get("price_per_hour")

    @property
    def currency(self) -> str:
        """Of its price; what was measured before there were others is in US dollars."""
        facts = self.cell.evaluation.facts if self.cell.evaluation is not None else {}
        return str(facts.get("currency") or CURRENCY_SHIPPED)

    @property
    def cost_per_million_rows(self) -> float | None:
        return cell_cost_per_million_rows(self.cell.evaluation)

    @property
    def fraction(self) -> float:
        """How much of the cell is done, from 0 to 1."""
        if self.ended:
            return 1.0
        before = _BEFORE.get(CellStatus(self.cell.status), 0.0)
        evaluation = self.cell.evaluation
        if self.cell.status != CellStatus.EVALUATING or evaluation is None:
            return before
        return before + (1 - before) * float(evaluation.progress.get("fraction") or 0.0)

    @property
    def fraction_shown(self) -> float | None:
        """In steps of a twentieth, while it is measured."""
        return round(20 * self.fraction) / 20 if self.cell.status == CellStatus.EVALUATING else None


@dataclass(frozen=True)
class Counts:
    """How many cells there are in each state; `waiting` are those that have not begun."""

    n: int = 0
    done: int = 0
    active: int = 0
    waiting: int = 0
    failed: int = 0
    skipped: int = 0
    stopped: int = 0

    @property
    def ended(self) -> int:
        return self.done + self.failed + self.skipped + self.stopped

    @property
    def parts(self) -> list[tuple[str, int, str]]:
        """(tone, how many, in words) of the states that there are."""
        found = [
            ("good", self.done, _("done")),
            ("bad", self.failed, _("failed")),
            ("active", self.active, _("running")),
            ("waiting", self.waiting, _("waiting")),
            ("neutral", self.skipped, _("skipped")),
            ("neutral", self.stopped, _("stopped")),
        ]
        return [part for part in found if part[1]]


def cell_views(cells: Iterable[ExperimentCell]) -> list[CellView]:
    """The cells in the order of the grid."""
    return [CellView(cell, place) for place, cell in enumerate(cells)]


def cell_counts(statuses: Mapping[str, int]) -> Counts:
    """From how many cells there are in each status."""

    def of(*wanted: CellStatus) -> int:
        return sum(statuses.get(status, 0) for status in wanted)

    return Counts(
        n=sum(statuses.values()),
        done=of(CellStatus.COMPLETED),
        active=of(CellStatus.TRAINING, CellStatus.DEPLOYING, CellStatus.EVALUATING),
        waiting=of(CellStatus.PENDING),
        failed=of(CellStatus.FAILED),
        skipped=of(CellStatus.SKIPPED),
        stopped=of(CellStatus.STOPPED),
    )


def statuses_of(views: Sequence[CellView]) -> dict[str, int]:
    found: dict[str, int] = {}
    for view in views:
        found[view.cell.status] = found.get(view.cell.status, 0) + 1
    return found


def is_smallest_best(views: Iterable[CellView]) -> bool:
    """Whether the experiment measures an error."""
    return any(view.summary.get("metric") == "rmse" for view in views)


def best_first(views: Iterable[CellView]) -> list[CellView]:
    """The measured cells with a quality, the best first, equals in the order of the grid."""
    known = [view for view in views if view.measured and view.summary.get("best") is not None]
    sign = 1 if is_smallest_best(known) else -1
    return sorted(known, key=lambda view: (sign * view.summary["best"], view.place))


def drawn(views: Sequence[CellView], wanted: Sequence[str]) -> list[CellView]:
    """The measured cells that a chart shows: those asked for by number, else the best, in the order of the grid."""
    numbers = {int(one) for one in wanted if one.isdecimal() and len(one) < 7}
    asked = [view for view in views if view.measured and view.number in numbers]
    chosen = asked[:DRAWN_MAX] or best_first(views)[:DRAWN_MAX]
    return sorted(chosen, key=lambda view: view.place)


def remaining_s(
    views: Sequence[CellView], *, parallelism: int, served: Collection[str], now: datetime
) -> float | None:
    """Seconds until all cells that can go on have ended, if they take as long as those before; None while unknown, as
    it is while none of them is worked on.

    Args:
        served: queues of the hosts that are alive; when the others will be served nobody knows.
    """
    lasted = [
        (view.cell.ended_at - view.cell.started_at).total_seconds()
        for view in views
        if view.measured and view.cell.started_at and view.cell.ended_at
    ]
    going = [view for view in views if not view.ended and not is_unserved(view, served)]
    if not lasted or not any(view.cell.started_at for view in going):
        return None
    each = sum(lasted) / len(lasted)
    behind = sum(
        min((now - view.cell.started_at).total_seconds(), each) for view in going if view.cell.started_at
    )
    return max(0.0, (each * len(going) - behind) / max(1, parallelism))


def fraction_done(views: Sequence[CellView]) -> float:
    """How much is done of the cells that are worked on at all: one that is skipped is not work that was done."""
    worked_on = [view for view in views if view.cell.status != CellStatus.SKIPPED]
    return round(sum(view.fraction for view in worked_on) / len(worked_on), 2) if worked_on else 0.0


def worked_s(views: Sequence[CellView], *, now: datetime) -> float | None:
    """Seconds in which a cell was worked on; several at a time count once. None where nothing has begun.

    Unlike the time until the end it does not grow when an experiment is resumed and there is nothing to do.
    """
    spans = sorted(
        (view.cell.started_at, view.cell.ended_at or now)
        for view in views
        if view.cell.started_at is not None
    )
    if not spans:
        return None
    total, until = 0.0, spans[0][0]
    for start, end in spans:
        total += max(0.0, (end - max(start, until)).total_seconds())
        until = max(until, end)
    return total


def is_unserved(view: CellView, served: Collection[str]) -> bool:
    """Whether no host alive serves its instance type."""
    return instance_type_get(view.cell.instance_type).queue not in served
