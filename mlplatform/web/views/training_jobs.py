"""Pages of training jobs: list, new, one job with its tabs, stop and delete."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from jobs.algorithms.registry import algorithm_list
from jobs.selectors.training import (
    training_job_artifact,
    training_job_get,
    training_job_metric_summaries,
    training_job_metrics,
)
from jobs.selectors.training import (
    training_job_list as training_jobs_page,
)
from jobs.services.training import (
    training_job_delete,
    training_job_stop,
)
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import Conflict
from mlplatform.core.models import Role
from mlplatform.core.translation import translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.charts.training_jobs import metric_figure, metric_groups
from mlplatform.web.rendering import fragment_target
from mlplatform.web.views.confirm import confirm_page
from mlplatform.web.views.training_job_detail import TABS, detail_context


@require_GET
def training_job_list(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    page = training_jobs_page(
        actor=actor,
        search=request.GET.get("search", ""),
        status=request.GET.get("status", ""),
        algorithm=request.GET.get("algorithm", ""),
        order=request.GET.get("order") or "-created",
        cursor=request.GET.get("cursor"),
    )
    context = {
        "page": page,
        "algorithms": algorithm_list(),
        "any_active": any(not job.ended for job in page.items),
        "filtered": any(request.GET.get(name) for name in ("search", "status", "algorithm")),
    }
    fragment = fragment_target(request) == "training-jobs"
    return render(request, "training_jobs/_list.html" if fragment else "training_jobs/list.html", context)


@require_GET
def training_job_detail(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    job = training_job_get(actor=actor, name=name)
    tab = request.GET.get("tab", "overview")
    context = detail_context(request, actor, job, tab if tab in TABS else "overview")
    polled = fragment_target(request) == "job-state"
    return render(request, "training_jobs/_poll.html" if polled else "training_jobs/detail.html", context)


@require_POST
def training_job_stop_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    try:
        training_job_stop(actor=page_actor(request, project), name=name)
    except Conflict as error:  # it ended while the button was on the page
        messages.warning(request, translated_error(error).message)
    else:
        messages.info(request, _("The job is asked to stop."))
    url = reverse("web:training-job-detail", kwargs={"project": project, "name": name})
    tab = request.GET.get("tab", "")
    return redirect(f"{url}?tab={tab}" if tab in TABS else url)


@require_http_methods(["GET", "POST"])
def training_job_delete_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        job = training_job_get(actor=actor, name=name)
        return confirm_page(
            request,
            title=_("Delete training job %(name)s?") % {"name": job.name},
            text=_("Deleted with it:"),
            goes=[_("its log and metrics"), _("its artifact model.tar.gz")],
            back=reverse("web:training-job-detail", kwargs={"project": project, "name": name}),
        )
    training_job_delete(actor=actor, name=name)
    messages.success(request, _("Training job %(name)s is deleted.") % {"name": name})
    return redirect("web:training-job-list", project=project)


@require_GET
def training_job_metrics_view(request: HttpRequest, project: str, name: str) -> JsonResponse:
    """The figure of one group of metrics; `final` once nothing more will come."""
    job = training_job_get(actor=page_actor(request, project), name=name)
    groups = metric_groups(training_job_metric_summaries(job=job))
    names = [one.name for one in groups.get(request.GET.get("group", ""), [])]
    x = request.GET.get("x", "step")
    figure = metric_figure(
        training_job_metrics(job=job, names=names),
        x=x if x in {"step", "time", "relative"} else "step",
        log_scale=request.GET.get("scale") == "log",
    )
    return JsonResponse(figure | {"final": job.ended})


@require_GET
def training_job_artifact_view(request: HttpRequest, project: str, name: str) -> DownloadResponse:
    chunks, filename, size_bytes = training_job_artifact(actor=page_actor(request, project), name=name)
    return DownloadResponse(chunks, filename=filename, size_bytes=size_bytes, content_type="application/gzip")
