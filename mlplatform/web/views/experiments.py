"""Pages of experiments: list, one experiment with its tabs, stop, resume, delete, tables as files."""

from __future__ import annotations

import json
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from endpoints.models import Experiment
from endpoints.selectors.experiment_results import experiment_best_cells
from endpoints.selectors.experiments import (
    experiment_cell_counts,
    experiment_cells,
    experiment_deletion,
    experiment_get,
    experiment_list,
    experiment_made,
)
from endpoints.services.experiments import experiment_delete, experiment_resume, experiment_stop
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import Conflict, NotFound
from mlplatform.core.models import Role
from mlplatform.core.translation import translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.experiment_cells import CellView, cell_counts, cell_views
from mlplatform.web.rendering import fragment_target, page_response, redirect_response
from mlplatform.web.shortlist import search_text
from mlplatform.web.views.experiment_detail import TEMPLATES, detail_context
from mlplatform.web.views.experiment_form import SAMPLE_PRESET
from mlplatform.web.views.experiment_results import TABLES, table_of

NAMED_MAX: Final = 6
"""So many names of what goes are said before a deletion."""


@require_GET
def experiment_list_view(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    page = experiment_list(
        actor=actor,
        search=search_text(request.GET),
        status=request.GET.get("status", ""),
        order=request.GET.get("order") or "-created",
        cursor=request.GET.get("cursor"),
    )
    best = experiment_best_cells(experiments=page.items)
    context = {
        "page": page,
        "rows": [
            {
                "experiment": experiment,
                "counts": cell_counts(experiment_cell_counts(experiment)),
                "best": CellView(best[experiment.pk], 0) if experiment.pk in best else None,
            }
            for experiment in page.items
        ],
        "any_active": any(not experiment.ended for experiment in page.items),
        "filtered": any(request.GET.get(name) for name in ("search", "status")),
        "sample_preset": SAMPLE_PRESET,
    }
    return render(
        request,
        f"experiments/{'_list' if fragment_target(request) == 'experiments' else 'list'}.html",
        context,
    )


@require_GET
def experiment_detail(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    target = fragment_target(request)
    try:
        experiment = experiment_get(actor=actor, name=name)
    except NotFound:
        if target != "experiment-state":
            raise
        return redirect_response(request, reverse("web:experiment-list", kwargs={"project": project}))
    tab = request.GET.get("tab", "")
    context = detail_context(request, actor, experiment, tab if tab in TEMPLATES else "overview")
    if target == "tradeoff-answer" and context["tab"] == "tradeoff":
        return render(request, "experiments/_tradeoff_answer.html", context | {"swapped": True})
    if target != "experiment-state":
        return render(request, "experiments/detail.html", context)
    response = render(request, "experiments/_poll.html", context | {"swapped": True})
    if context["begins"]:  # there was nothing to draw on the page that asks
        response["HX-Refresh"] = "true"
    return response


@require_POST
def experiment_stop_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    try:
        experiment_stop(actor=page_actor(request, project), name=name)
    except Conflict as error:  # it ended while the button was on the page
        messages.warning(request, translated_error(error).message)
    else:
        messages.info(request, _("The experiment is asked to stop. It can be resumed later."))
    return redirect("web:experiment-detail", project=project, name=name)


@require_POST
def experiment_resume_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    try:
        experiment_resume(actor=page_actor(request, project), name=name)
    except Conflict as error:
        messages.warning(request, translated_error(error).message)
    else:
        messages.info(request, _("The experiment goes on with the cells that have no result."))
    return redirect("web:experiment-detail", project=project, name=name)


@require_http_methods(["GET", "POST"])
def experiment_delete_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        experiment = experiment_get(actor=actor, name=name)
        context = {
            "experiment": experiment,
            "goes": _goes(experiment),
            "kept": experiment_deletion(experiment=experiment).kept_models,
        }
        return page_response(request, "experiments/delete.html", context)
    experiment_delete(actor=actor, name=name, keep_results=request.POST.get("keep_results") == "1")
    messages.success(request, _("Experiment %(name)s is deleted.") % {"name": name})
    return redirect("web:experiment-list", project=project)


@require_GET
def experiment_download(request: HttpRequest, project: str, name: str, table: str) -> DownloadResponse:
    """A table of the page as CSV (for spreadsheets) or JSON, with the choices of the query string."""
    experiment = experiment_get(actor=page_actor(request, project), name=name)
    if table not in TABLES:
        raise NotFound(_("There is no table %(name)r") % {"name": table[:40]})
    found = table_of(table, cell_views(experiment_cells(experiment=experiment)), request.GET)
    stem = f"{experiment.name}-{table}"
    if request.GET.get("as") == "json":
        content: Any = [json.dumps(found.to_json(), ensure_ascii=False).encode()]
        return DownloadResponse(content, filename=f"{stem}.json", content_type="application/json")
    return DownloadResponse(found.to_csv(), filename=f"{stem}.csv", content_type="text/csv; charset=utf-8")


def _goes(experiment: Experiment) -> list[str]:
    """What is destroyed with it, by name; of many the first, and how many more there are."""
    made = experiment_made(experiment=experiment)
    kept = experiment_deletion(experiment=experiment).kept_models
    spared = {model.training_job_id for model in made.models if model.name in kept}
    jobs = [job.name for job in made.training_jobs if job.pk not in spared]
    models = [model.name for model in made.models if model.name not in kept]
    evaluations = [evaluation.name for evaluation in made.evaluations]
    said = (
        (ngettext("%(n)s training job: %(names)s", "%(n)s training jobs: %(names)s", len(jobs)), jobs),
        (ngettext("%(n)s model: %(names)s", "%(n)s models: %(names)s", len(models)), models),
        (
            ngettext("%(n)s evaluation: %(names)s", "%(n)s evaluations: %(names)s", len(evaluations)),
            evaluations,
        ),
    )
    return [words % {"n": len(named), "names": _first(named)} for words, named in said if named]


def _first(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED_MAX])
    return f"{shown}, …" if len(names) > NAMED_MAX else shown
