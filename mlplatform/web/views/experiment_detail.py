"""What the page of one experiment shows: how far it is, and the tab that is open. Called by its view."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from endpoints.experiment_plan import EVALUATION_QUEUE
from endpoints.models import Experiment
from endpoints.selectors.costs import experiment_cost
from endpoints.selectors.experiments import experiment_cells
from endpoints.services.evaluation_facts import has_k
from jobs.instance_types import instance_type_get
from mlplatform.core import clock
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import queues_served
from mlplatform.core.people.access import Actor
from mlplatform.core.status import CellStatus
from mlplatform.core.translation import translated
from mlplatform.web.experiment_cells import (
    CellView,
    best_first,
    cell_counts,
    cell_views,
    fraction_done,
    is_smallest_best,
    is_unserved,
    remaining_s,
    statuses_of,
    worked_s,
)
from mlplatform.web.experiment_tiles import tiles_of
from mlplatform.web.forms.experiments import ExperimentForm
from mlplatform.web.views.experiment_results import latency_context, quality_context, tradeoff_context

CELLS_PER_PAGE: Final = 100
COMPARED_MAX: Final = 50
NOTICES_MAX: Final = 3
TEMPLATES: Final = {
    name: f"experiments/_{name}.html" for name in ("overview", "quality", "latency", "tradeoff", "api")
}
DRAWN_TABS: Final = frozenset({"quality", "tradeoff"})
"""Tabs with charts, which have nothing to change on a page from before anything was measured."""
RESUMED: Final = frozenset({CellStatus.FAILED, CellStatus.STOPPED, CellStatus.SKIPPED})
"""Cells that are tried again when an experiment that has ended is resumed."""


def detail_context(request: HttpRequest, actor: Actor, experiment: Experiment, tab: str) -> dict[str, Any]:
    """The context of the page and of its poll, in which `changed` says whether more than the state is new."""
    views = cell_views(experiment_cells(experiment=experiment))
    served = queues_served(kind=NodeKind.HOST)
    measured = [view for view in views if view.measured]
    seen = f"{len(measured)}-{_mark(experiment, views, tab)}"
    given = request.headers.get("X-Seen", "")
    smallest = is_smallest_best(views)
    tabs: dict[str, Callable[[], dict[str, Any]]] = {
        "overview": lambda: _overview(request, experiment, views),
        "quality": lambda: quality_context(request, views),
        "latency": lambda: latency_context(views),
        "tradeoff": lambda: tradeoff_context(request, views),
        "api": lambda: {"calls": _api_calls(request, actor, experiment)},
    }
    return {
        "experiment": experiment,
        "tab": tab,
        "tabs": _tab_titles(experiment.algorithm, smallest=smallest),
        "tab_template": TEMPLATES[tab],
        "views": views,
        "measured": measured,
        "counts": cell_counts(statuses_of(views)),
        "seen": seen,
        "changed": seen != given,
        "begins": tab in DRAWN_TABS and given.startswith("0-") and bool(measured),
        "fraction": fraction_done(views),
        "worked_s": worked_s(views, now=clock.now()),
        "remaining_s": remaining_s(views, parallelism=experiment.parallelism, served=served, now=clock.now()),
        "notices": [] if experiment.ended else _notices(views, served),
        "can_resume": experiment.ended and any(view.cell.status in RESUMED for view in views),
        "resume_helps": experiment.ended and _resume_helps(experiment, views, served),
        "compare_url": _compare_url(actor, measured),
        "metric_title": "RMSE" if smallest else _("Accuracy"),
        **tabs[tab](),
    }


def _resume_helps(experiment: Experiment, views: Sequence[CellView], served: Collection[str]) -> bool:
    """Whether a resumed experiment would do anything now; cells that nobody serves would be skipped again."""
    needed = {instance_type_get(experiment.training_instance_type).queue, EVALUATION_QUEUE}
    works = needed <= queues_served()
    return any(
        view.cell.status in RESUMED
        and (view.cell.status != CellStatus.SKIPPED or (works and not is_unserved(view, served)))
        for view in views
    )


def _tab_titles(algorithm: str, *, smallest: bool) -> list[tuple[str, str]]:
    by_k = _("Error by k") if smallest else _("Accuracy by k")
    return [
        ("overview", _("Overview")),
        ("quality", by_k if has_k(algorithm) else _("Scores")),
        ("latency", _("Latency")),
        ("tradeoff", _("Trade-off")),
        ("api", _("API")),
    ]


def _overview(request: HttpRequest, experiment: Experiment, views: Sequence[CellView]) -> dict[str, Any]:
    counts = cell_counts(statuses_of(views))
    states = {
        "all": (_("All"), counts.n, frozenset(CellStatus)),
        "active": (_("Running"), counts.active, _ACTIVE),
        "waiting": (_("Waiting"), counts.waiting, frozenset({CellStatus.PENDING})),
        "done": (_("Done"), counts.done, frozenset({CellStatus.COMPLETED})),
        "failed": (_("Failed"), counts.failed, frozenset({CellStatus.FAILED})),
        "skipped": (_("Skipped"), counts.skipped, frozenset({CellStatus.SKIPPED})),
        "stopped": (_("Stopped"), counts.stopped, frozenset({CellStatus.STOPPED})),
    }
    shown = request.GET.get("show", "")
    shown = shown if shown in states else "all"
    chosen = [view for view in views if view.cell.status in states[shown][2]]
    n_pages = max(1, -(-len(chosen) // CELLS_PER_PAGE))
    asked = request.GET.get("page", "")
    number = min(int(asked), n_pages) if asked.isdecimal() and len(asked) < 6 and int(asked) else 1
    return {
        "tiles": tiles_of(views),
        "cost": experiment_cost(experiment),
        "filters": [
            (key, title, n) for key, (title, n, _statuses) in states.items() if n or key in ("all", shown)
        ],
        "shown": shown,
        "page_of_cells": chosen[(number - 1) * CELLS_PER_PAGE : number * CELLS_PER_PAGE],
        "page_number": number,
        "page_before": number - 1,
        "page_after": number + 1,
        "n_pages": n_pages,
        "configuration_rows": ExperimentForm.from_experiment(experiment).configurations,
    }


_ACTIVE: Final = frozenset({CellStatus.TRAINING, CellStatus.DEPLOYING, CellStatus.EVALUATING})


def _notices(views: Sequence[CellView], served: frozenset[str]) -> list[str]:
    """Why cells wait for somebody else, each reason once."""
    reasons = [
        translated(view.cell.waiting)
        for view in views
        if not view.ended and view.cell.waiting and is_unserved(view, served)
    ]
    return list(dict.fromkeys(reasons))[:NOTICES_MAX]


def _mark(experiment: Experiment, views: Sequence[CellView], tab: str) -> str:
    """A mark of what the page shows beside its state; another one means that it has to be drawn anew."""
    parts = [
        (
            cell.pk,
            cell.status,
            str(cell.waiting),
            str(cell.failure),
            cell.training_job_id,
            cell.endpoint_id,
            cell.evaluation_id,
            view.fraction_shown if tab == "overview" else None,
        )
        for view in views
        for cell in (view.cell,)
    ]
    return hashlib.sha256(repr((experiment.status, parts)).encode()).hexdigest()[:12]


def _compare_url(actor: Actor, measured: Sequence[CellView]) -> str:
    """The best of the measured cells side by side; none while there are fewer than two."""
    names = [view.cell.evaluation.name for view in best_first(measured) if view.cell.evaluation]
    if len(names) < 2:
        return ""
    try:
        url = reverse("web:comparison", kwargs={"project": actor.project.name})
    except NoReverseMatch:
        return ""
    query = [("kind", "evaluations"), *(("name", name) for name in names[:COMPARED_MAX])]
    return f"{url}?{urlencode(query)}"


def _api_calls(request: HttpRequest, actor: Actor, experiment: Experiment) -> list[tuple[str, str]]:
    base_url = request.build_absolute_uri("/").rstrip("/")
    address = f"{base_url}/api/v1/projects/{actor.project.name}/experiments/{experiment.name}/"
    token = '-H "Authorization: Bearer $TOKEN"'
    form = ExperimentForm.from_experiment(experiment)
    form.name = f"{experiment.name[:55]}-again"
    return [
        (_("Its status and its cells"), f"curl {address} \\\n  {token}"),
        (_("A table"), f"curl '{address}tables/accuracy/?as=csv' \\\n  {token} -OJ"),
        (_("The same again"), form.api_call(base_url=base_url, project=actor.project.name)),
    ]
