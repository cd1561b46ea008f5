"""Pages of tuning jobs: list, one tuning job with its tabs, stop, extend, delete, its trials as a file."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from jobs.models import TuningJob
from jobs.models.tuning import TuningStrategy
from jobs.selectors.tuning import tuning_job_get, tuning_job_list
from jobs.selectors.tuning_importance import tuning_importance_told
from jobs.services.tuning import tuning_job_delete, tuning_job_extend, tuning_job_stop
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import Conflict, NotFound, PlatformError
from mlplatform.core.models import Role
from mlplatform.core.translation import translated, translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.charts.tuning import importance_figure
from mlplatform.web.forms.training_jobs import errors_by_field, folded
from mlplatform.web.rendering import fragment_target, page_response, redirect_response
from mlplatform.web.shortlist import search_text
from mlplatform.web.tuning_trials import list_counts, trials_ordered, trials_table
from mlplatform.web.views.tuning_charts import contour_context
from mlplatform.web.views.tuning_job_detail import TABS, detail_context, views_of


@require_GET
def tuning_jobs(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    page = tuning_job_list(
        actor=actor,
        search=search_text(request.GET),
        status=request.GET.get("status", ""),
        strategy=request.GET.get("strategy", ""),
        order=request.GET.get("order") or "-created",
        cursor=request.GET.get("cursor"),
    )
    context = {
        "page": page,
        "rows": [(one, list_counts(one)) for one in page.items],
        "strategies": TuningStrategy.choices,
        "any_active": any(not one.ended for one in page.items),
        "filtered": any(request.GET.get(name) for name in ("search", "status", "strategy")),
    }
    fragment = fragment_target(request) == "tuning-jobs"
    return render(request, f"tuning_jobs/{'_list' if fragment else 'list'}.html", context)


@require_GET
def tuning_job(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    target = fragment_target(request)
    try:
        found = tuning_job_get(actor=actor, name=name)
    except NotFound:
        if target != "tuning-state":
            raise
        return redirect_response(request, reverse("web:tuning_jobs", kwargs={"project": project}))
    if target == "tuning-contour":
        response = render(request, "tuning_jobs/_contour.html", _contour(request, found))
        response["HX-Replace-Url"] = request.get_full_path()
        return response
    tab = request.GET.get("tab", "")
    context = detail_context(request, actor, found, tab if tab in TABS else "overview")
    if target != "tuning-state":
        return render(request, "tuning_jobs/detail.html", context)
    response = render(request, "tuning_jobs/_poll.html", context | {"swapped": True})
    if context["begins"]:  # there was nothing to draw on the page that asks
        response["HX-Refresh"] = "true"
    return response


@require_GET
def tuning_job_importance_view(request: HttpRequest, project: str, name: str) -> JsonResponse:
    """The figure of how much each hyperparameter matters; `final` once nothing more will come."""
    found = tuning_job_get(actor=page_actor(request, project), name=name)
    told = tuning_importance_told(tuning_job=found)
    figure = importance_figure(told.values, reason=translated(told.reason))
    return JsonResponse(figure | {"final": found.ended})


@require_POST
def tuning_job_stop_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    try:
        tuning_job_stop(actor=page_actor(request, project), name=name)
    except Conflict as error:  # it ended while the button was on the page
        messages.warning(request, translated_error(error).message)
    else:
        messages.info(request, _("The tuning job is asked to stop, and so are its trials."))
    return redirect(_page(project, name, request.GET.get("tab", "")))


@require_http_methods(["GET", "POST"])
def tuning_job_extend_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    found = tuning_job_get(actor=actor, name=name)
    if request.method == "GET":
        return _extend_page(request, found, str((found.max_jobs or 0) + 10))
    text = folded(request.POST.get("max_jobs", ""))
    wanted: Any = int(text) if text.isdecimal() and len(text) < 10 else text
    try:
        tuning_job_extend(actor=actor, name=name, max_jobs=wanted)
    except PlatformError as error:
        return _extend_page(request, found, text, translated_error(error))
    messages.success(request, _("%(name)s goes on to %(n)s trials.") % {"name": name, "n": wanted})
    return redirect(_page(project, name, ""))


@require_http_methods(["GET", "POST"])
def tuning_job_delete_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        found = tuning_job_get(actor=actor, name=name)
        n = sum(view.trial.training_job_id is not None for view in views_of(found))
        context = {"tuning_job": found, "n_jobs": n}
        return page_response(request, "tuning_jobs/delete.html", context)
    tuning_job_delete(actor=actor, name=name, with_jobs=request.POST.get("with_jobs") == "1")
    messages.success(request, _("Tuning job %(name)s is deleted.") % {"name": name})
    return redirect("web:tuning_jobs", project=project)


@require_GET
def tuning_job_trials_file(request: HttpRequest, project: str, name: str) -> DownloadResponse:
    """The trials as CSV (for spreadsheets) or JSON, in the order of the query string."""
    found = tuning_job_get(actor=page_actor(request, project), name=name)
    views = trials_ordered(views_of(found), request.GET.get("order") or "number")
    table = trials_table(found, views)
    stem = f"{found.name}-trials"
    if request.GET.get("as") == "json":
        content: Any = [json.dumps(table.to_json(), ensure_ascii=False).encode()]
        return DownloadResponse(content, filename=f"{stem}.json", content_type="application/json")
    return DownloadResponse(table.to_csv(), filename=f"{stem}.csv", content_type="text/csv; charset=utf-8")


def _contour(request: HttpRequest, found: TuningJob) -> dict[str, Any]:
    return {"tuning_job": found, **contour_context(request, found, views_of(found))}


def _extend_page(
    request: HttpRequest, found: TuningJob, value: str, error: PlatformError | None = None
) -> HttpResponse:
    errors = errors_by_field(error.errors) if error else {}
    n = found.max_jobs or 0
    context = {
        "tuning_job": found,
        "value": value,
        "now": ngettext("It ends after %(n)s trial now.", "It ends after %(n)s trials now.", n) % {"n": n},
        "problem": errors.get("max_jobs") or (error.message if error else ""),
    }
    status = error.http_status if error else 200
    return page_response(request, "tuning_jobs/extend.html", context, status=status)


def _page(project: str, name: str, tab: str) -> str:
    url = reverse("web:tuning_job", kwargs={"project": project, "name": name})
    return f"{url}?tab={tab}" if tab in TABS else url
