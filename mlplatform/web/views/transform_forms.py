"""What is asked for on pages of transform jobs: a new one, to stop one, to delete one, a dataset of a result."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from endpoints.selectors.models import model_list
from endpoints.selectors.transform_preview import transform_preview
from endpoints.selectors.transforms import transform_job_get
from endpoints.services.transforms import (
    transform_job_clone_request,
    transform_job_create,
    transform_job_delete,
    transform_job_result_to_dataset,
    transform_job_stop,
)
from jobs.selectors.datasets import dataset_list
from jobs.selectors.prices import instance_types_priced
from mlplatform.core import clock, names
from mlplatform.core.errors import Conflict, PlatformError
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated, translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.dataset_fit import datasets_with_reasons
from mlplatform.web.forms.training_jobs import errors_by_field
from mlplatform.web.forms.transforms import TransformForm
from mlplatform.web.views.confirm import confirm_page

FIELDS = frozenset(TransformForm.__dataclass_fields__)


@require_http_methods(["GET", "POST"])
def transform_job_new(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        return _form_page(request, actor, _first_form(request, actor))
    form = TransformForm.from_query(request.POST)
    if request.POST.get("intent") == "preview":
        return _preview(request, actor, form)
    if request.POST.get("intent") == "api":
        return render(request, "inc/code.html", {"code": _api_call(request, actor, form)})
    try:
        job = transform_job_create(actor=actor, request=form.request())
    except PlatformError as error:
        return _form_page(request, actor, form, error)
    return redirect("web:transform_job", project=project, name=job.name)


@require_POST
def transform_job_stop_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    try:
        transform_job_stop(actor=page_actor(request, project), name=name)
    except Conflict as error:  # it ended while the button was on the page
        messages.warning(request, translated_error(error).message)
    else:
        messages.info(request, _("The transform job is asked to stop."))
    return redirect("web:transform_job", project=project, name=name)


@require_http_methods(["GET", "POST"])
def transform_job_delete_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        job = transform_job_get(actor=actor, name=name)
        return confirm_page(
            request,
            title=_("Delete transform job %(name)s?") % {"name": job.name},
            text=_(
                "The model and the dataset stay, and so does a dataset made of the result. Deleted with it:"
            ),
            goes=[_("its result"), _("its log")],
            back=reverse("web:transform_job", kwargs={"project": project, "name": name}),
            refusal="" if job.ended else _("It has not ended; stop it first."),
        )
    transform_job_delete(actor=actor, name=name)
    messages.success(request, _("Transform job %(name)s is deleted.") % {"name": name})
    return redirect("web:transform_jobs", project=project)


@require_POST
def transform_job_dataset_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    """A dataset of the result, by the name that was typed."""
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    try:
        made = transform_job_result_to_dataset(
            actor=actor, name=name, dataset=request.POST.get("dataset", "").strip()
        )
    except PlatformError as error:
        shown = translated_error(error)
        said = "; ".join(one.message for one in shown.errors) or shown.message
        messages.error(request, said)
        return redirect("web:transform_job", project=project, name=name)
    messages.success(request, _("Dataset %(name)s has the rows of the result.") % {"name": made.name})
    return redirect("web:dataset-detail", project=project, name=made.name)


def _first_form(request: HttpRequest, actor: Actor) -> TransformForm:
    cloned = request.GET.get("clone", "")
    if cloned:
        return TransformForm.from_request(transform_job_clone_request(actor=actor, name=cloned))
    form = TransformForm.from_query(request.GET)
    if form.model and not form.is_named_by_hand:
        form.name = names.name_with_time(form.model[:30], clock.now())
    return form


def _form_page(
    request: HttpRequest, actor: Actor, form: TransformForm, error: PlatformError | None = None
) -> HttpResponse:
    error = error and translated_error(error)
    models = model_list(actor=actor, order="name", limit=100).items
    chosen = next((one for one in models if one.name == form.model), None)
    preview = transform_preview(actor=actor, request=form.preview_request())
    context = {
        "form": form,
        "models": models,
        "unlisted": bool(form.model) and chosen is None,
        "datasets": datasets_with_reasons(
            dataset_list(actor=actor, limit=100).items, [chosen] if chosen else []
        ),
        "dataset_name": form.dataset.partition("@")[0],
        "instance_types": instance_types_priced(),
        "preview": preview,
        "preview_error": translated(preview.error),
        "error": error,
        "errors": errors_by_field(error.errors) if error else {},
        "unplaced": [one for one in (error.errors if error else ()) if one.field not in FIELDS],
        "api_call": _api_call(request, actor, form),
    }
    return render(request, "transforms/new.html", context, status=error.http_status if error else 200)


def _preview(request: HttpRequest, actor: Actor, form: TransformForm) -> HttpResponse:
    preview = transform_preview(actor=actor, request=form.preview_request())
    context = {"form": form, "preview": preview, "preview_error": translated(preview.error)}
    return render(request, "transforms/_preview.html", context)


def _api_call(request: HttpRequest, actor: Actor, form: TransformForm) -> str:
    return form.api_call(base_url=request.build_absolute_uri("/").rstrip("/"), project=actor.project.name)
