"""Pages of models: list, new from a job or an archive, one model with its code and where it is deployed, delete."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from endpoints.selectors.models import model_get, model_list, model_uses
from endpoints.services.models import model_create, model_delete
from jobs.selectors.training import training_job_list
from mlplatform.core.errors import Conflict, PlatformError
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TrainingJobStatus
from mlplatform.core.translation import translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.forms.models import ArchiveForm, ArchiveUploadForm, ArchiveUriForm
from mlplatform.web.forms.training_jobs import errors_of_new, folded
from mlplatform.web.model_code import model_code_context
from mlplatform.web.rendering import fragment_target, page_response, redirect_response
from mlplatform.web.views.confirm import confirm_page

_FORMS: dict[str, type[ArchiveForm]] = {"upload": ArchiveUploadForm, "uri": ArchiveUriForm}


@require_GET
def model_list_view(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    page = model_list(
        actor=actor,
        search=request.GET.get("search", ""),
        order=request.GET.get("order") or "-created",
        cursor=request.GET.get("cursor"),
    )
    fragment = fragment_target(request) == "models"
    context = {"page": page, "filtered": bool(request.GET.get("search"))}
    return render(request, "models/_list.html" if fragment else "models/list.html", context)


@require_http_methods(["GET", "POST"])
def model_new(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    origin = request.GET.get("from", "job")
    if origin in _FORMS:
        return _archive_page(request, actor, origin)
    if request.method == "GET":
        job = request.GET.get("job", "")
        return _form_page(request, actor, {"training_job": job, "name": job})
    values = {key: request.POST.get(key, "").strip() for key in ("name", "training_job", "description")}
    values["name"] = folded(values["name"])
    try:
        model = model_create(
            actor=actor,
            name=values["name"],
            training_job=values["training_job"],
            description=values["description"],
        )
    except PlatformError as error:
        return _form_page(request, actor, values, error)
    if request.POST.get("next") == "endpoint":
        return redirect(f"{_new_endpoint_url(project)}?model={model.name}")
    return redirect("web:model-detail", project=project, name=model.name)


@require_GET
def model_detail(request: HttpRequest, project: str, name: str) -> HttpResponse:
    model = model_get(actor=page_actor(request, project), name=name)
    manifest = model.manifest or {}
    context = {
        "model": model,
        "uses": model_uses(model=model),
        "manifest": manifest,
        "labels": sorted((manifest.get("label_mapping") or {}).items(), key=lambda pair: pair[1]),
        "snippet_base": request.build_absolute_uri("/").rstrip("/"),
        **model_code_context(model),
    }
    return render(request, "models/detail.html", context)


@require_http_methods(["GET", "POST"])
def model_delete_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        model = model_get(actor=actor, name=name)
        users = ", ".join(endpoint.name for endpoint in model_uses(model=model))
        refusal = _("Deployed at %(users)s. Delete or update that first.") % {"users": users}
        return _delete_page(request, project, name, refusal=refusal if users else "")
    try:
        model_delete(actor=actor, name=name)
    except Conflict as error:
        refusal = translated_error(error).message
        return _delete_page(request, project, name, refusal=refusal, status=error.http_status)
    messages.success(request, _("Model %(name)s is deleted.") % {"name": name})
    return redirect("web:model-list", project=project)


def _archive_page(request: HttpRequest, actor: Actor, origin: str) -> HttpResponse:
    """The form of an archive, shown or sent."""
    kind = _FORMS[origin]
    if request.method == "GET":
        return _archive_form(request, origin, kind())
    form = kind(request.POST, request.FILES)
    if not form.is_valid():
        return _archive_form(request, origin, form, status=400)
    values = form.arguments()
    if isinstance(form, ArchiveUploadForm):
        values["archive"] = Path(form.cleaned_data["archive"].temporary_file_path())
    else:
        values["artifact_uri"] = form.cleaned_data["artifact_uri"]
    try:
        model = model_create(actor=actor, **values)
    except PlatformError as error:
        if error.http_status >= 500:
            raise
        form.refuse(error)
        return _archive_form(request, origin, form, status=400)
    project = actor.project.name
    return redirect_response(
        request, reverse("web:model-detail", kwargs={"project": project, "name": model.name})
    )


def _archive_form(request: HttpRequest, origin: str, form: ArchiveForm, *, status: int = 200) -> HttpResponse:
    limit = settings.MLPLATFORM_UPLOAD_LIMIT_BYTES
    context = {"form": form, "origin": origin, "upload_limit_bytes": limit}
    return page_response(request, "models/archive.html", context, status=status)


def _delete_page(
    request: HttpRequest, project: str, name: str, *, refusal: str, status: int = 200
) -> HttpResponse:
    return confirm_page(
        request,
        title=_("Delete model %(name)s?") % {"name": name},
        text="" if refusal else _("The artifact stays with its training job."),
        back=reverse("web:model-detail", kwargs={"project": project, "name": name}),
        refusal=refusal,
        status=status,
    )


def _form_page(
    request: HttpRequest, actor: Actor, values: dict[str, str], error: PlatformError | None = None
) -> HttpResponse:
    completed = training_job_list(actor=actor, status=TrainingJobStatus.COMPLETED, limit=100)
    error = error and translated_error(error)
    context = {
        "values": values,
        "jobs": completed.items,
        "unlisted": ""
        if values["training_job"] in {job.name for job in completed.items}
        else values["training_job"],
        "error": error,
        "errors": errors_of_new(error),
        "unplaced": [
            one for one in (error.errors if error else ()) if one.field not in ("name", "training_job")
        ],
    }
    return render(request, "models/new.html", context, status=error.http_status if error else 200)


def _new_endpoint_url(project: str) -> str:
    return reverse("web:endpoint-new", kwargs={"project": project})
