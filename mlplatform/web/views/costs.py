"""Pages of costs: what a project has spent, and one job beside the several whose work it did."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from endpoints.selectors.cost_table import SPENDERS, cost_period, cost_table
from endpoints.selectors.costs import Spender
from endpoints.selectors.project_costs import project_costs
from jobs.selectors.together import jobs_together, together_candidates, together_default
from jobs.selectors.training import training_job_get
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.translation import translated
from mlplatform.web.access import page_actor
from mlplatform.web.charts.costs import costs_figure
from mlplatform.web.rendering import page_response
from mlplatform.web.shortlist import search_text, short_list

_ORDERS = {
    "cost": lambda one: float(one.cost.amount or 0),
    "name": lambda one: one.name,
    "kind": lambda one: one.kind.value,
    "time": lambda one: one.cost.seconds,
    "last": lambda one: one.last_at,
}
SPENT_SHOWN = 200
"""So many of the dearest are on the page; the file has all."""
PAGES = {
    Spender.TRAINING: "web:training-job-detail",
    Spender.TUNING: "web:tuning_job",
    Spender.ENDPOINT: "web:endpoint-detail",
    Spender.TRANSFORM: "web:transform_job",
}


@require_GET
def costs(request: HttpRequest, project: str) -> HttpResponseBase:
    actor = page_actor(request, project)
    errors: dict[str, str] = {}
    since, until = _day(request, "since", errors), _day(request, "until", errors)
    try:
        begin, end = cost_period(since=since, until=until)
    except InvalidRequest as error:
        errors |= {problem.field: translated(problem.message) for problem in error.errors}
        begin, end = cost_period(since=None, until=None)
    kind = request.GET.get("kind", "")
    if request.GET.get("as") == "csv":
        spent = project_costs(actor=actor, since=begin, until=end)
        chunks = cost_table(spent).to_csv(bom=True)
        filename = f"costs-{actor.project.name}-{begin:%Y%m%d}.csv"
        return DownloadResponse(chunks, filename=filename, content_type="text/csv; charset=utf-8")
    search = search_text(request.GET)
    spent = project_costs(actor=actor, since=begin, until=end, search=search, kind=kind, most=SPENT_SHOWN)
    context: dict[str, Any] = {
        "costs": spent,
        "since": begin.date(),
        "until": (end - timedelta(days=1)).date(),
        "errors": errors,
        "kind": kind,
        "kinds": [(found, SPENDERS[found], spent.by_kind[found]) for found in SPENDERS],
        "filtered": bool(kind or search),
        "rows": short_list(
            spent.spent, request.GET, orders=_ORDERS, default="-cost", text=lambda one: one.name
        ),
        "folders": {found: _folder(page, project) for found, page in PAGES.items()},
        "figure": costs_figure(spent) if spent.total.amount else None,
    }
    return page_response(request, "costs/page.html", context)


@require_GET
def together(request: HttpRequest, project: str, name: str) -> HttpResponse:
    """A job beside others that did parts of its work; those of an ensemble's members are chosen by themselves."""
    actor = page_actor(request, project)
    job = training_job_get(actor=actor, name=name)
    candidates = together_candidates(job=job)
    chosen = request.GET.getlist("separate")
    if not chosen and "chosen" not in request.GET:
        chosen = [found.name for found in together_default(job=job, candidates=candidates)]
    found, problem = None, ""
    if chosen:
        try:
            found = jobs_together(actor=actor, job=name, separate=chosen)
        except InvalidRequest as error:
            problem = translated(error.message)
    context = {
        "job": job,
        "candidates": candidates,
        "chosen": chosen,
        "together": found,
        "problem": problem,
        "ratios": _ratios(found),
    }
    return page_response(request, "costs/together.html", context)


def _folder(page: str, project: str) -> str:
    """The address under which the pages of all things of a kind are, each with its name."""
    return reverse(page, kwargs={"project": project, "name": "-"}).removesuffix("-/")


def _ratios(found: Any) -> list[tuple[str, float]]:
    if found is None:
        return []
    return [
        (key, value)
        for key, value in (
            ("time", found.time_ratio),
            ("bytes", found.bytes_ratio),
            ("cost", found.cost_ratio),
        )
        if value is not None
    ]


def _day(request: HttpRequest, name: str, errors: dict[str, str]) -> date | None:
    text = request.GET.get(name, "").strip()
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        errors[name] = text[:40]
        return None
