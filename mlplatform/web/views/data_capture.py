"""The page of an endpoint's data capture: its switch, what was captured by hour, newest records, a file's download."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from endpoints.models import Endpoint
from endpoints.selectors.data_capture import (
    captured_file_chunks,
    captured_file_get,
    captured_file_list,
    captured_hours,
    captured_records_newest,
    captured_total,
    data_capture_of,
)
from endpoints.selectors.endpoints import endpoint_get
from endpoints.services.async_config import is_async
from endpoints.services.data_capture import (
    capture_destination_default,
    capture_request_of,
    data_capture_update,
)
from endpoints.services.neighbours import knn_variants
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import PlatformError, TransientError
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated, translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.charts.capture import captured_figure
from mlplatform.web.forms.data_capture import CaptureForm
from mlplatform.web.forms.training_jobs import errors_by_field
from mlplatform.web.rendering import fragment_target

FILES_SHOWN = 20
RECORDS_SHOWN = 20


@require_http_methods(["GET", "POST"])
def endpoint_capture(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    endpoint = endpoint_get(actor=actor, name=name)
    if request.method == "GET":
        if fragment_target(request) == "capture-state":
            return render(request, "endpoints/_capture_state.html", _state(actor, endpoint, request))
        asked = capture_request_of(endpoint)
        form = CaptureForm.from_request(asked, destination=capture_destination_default(actor.project))
        return _page(request, actor, endpoint, form)
    actor.require(Role.EDITOR)
    form = CaptureForm.from_post(request.POST)
    try:
        data_capture_update(actor=actor, endpoint=name, **form.changes())
    except PlatformError as error:
        return _page(request, actor, endpoint, form, error)
    messages.success(request, _("Data capture is changed; it holds for requests that arrive from now on."))
    return redirect("web:endpoint-capture", project=project, name=name)


@require_GET
def endpoint_capture_chart(request: HttpRequest, project: str, name: str) -> JsonResponse:
    """The figure of records per hour."""
    endpoint = endpoint_get(actor=page_actor(request, project), name=name)
    return JsonResponse(captured_figure(captured_hours(endpoint=endpoint)))


@require_GET
def captured_file_download(request: HttpRequest, project: str, name: str, uid: str) -> DownloadResponse:
    actor = page_actor(request, project)
    file = captured_file_get(actor=actor, endpoint=name, uid=uid)
    return DownloadResponse(
        captured_file_chunks(file=file),
        filename=file.uri.rsplit("/", 1)[1],
        size_bytes=file.size_bytes,
        content_type="application/jsonlines",
    )


def _page(
    request: HttpRequest,
    actor: Actor,
    endpoint: Endpoint,
    form: CaptureForm,
    error: PlatformError | None = None,
) -> HttpResponse:
    error = error and translated_error(error)
    context = _state(actor, endpoint, request) | _newest(endpoint)
    context |= {
        "tab": "capture",
        "asynchronous": is_async(endpoint),
        "inspectable": bool(knn_variants(endpoint=endpoint)),
        "form": form,
        "errors": errors_by_field(error.errors) if error else {},
        "error": error.message if error else "",
    }
    return render(request, "endpoints/capture.html", context, status=error.http_status if error else 200)


def _state(actor: Actor, endpoint: Endpoint, request: HttpRequest) -> dict[str, Any]:
    capture = data_capture_of(endpoint=endpoint)
    return {
        "endpoint": endpoint,
        "capture": capture,
        "problem": translated(capture.problem_words) if capture else "",
        "total": captured_total(endpoint=endpoint),
        "files": captured_file_list(
            actor=actor, endpoint=endpoint.name, limit=FILES_SHOWN, cursor=request.GET.get("cursor")
        ),
    }


def _newest(endpoint: Endpoint) -> dict[str, Any]:
    try:
        return {"records": captured_records_newest(endpoint=endpoint, limit=RECORDS_SHOWN)}
    except TransientError as error:
        return {"records": [], "records_problem": translated(error.message)}
