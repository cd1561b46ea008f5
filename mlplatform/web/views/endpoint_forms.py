"""Forms of endpoints: new, new configuration, weights and counts."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from endpoints.elastic import MEMORY_STEPS_MB
from endpoints.selectors.endpoints import endpoint_get
from endpoints.selectors.models import model_list
from endpoints.services.endpoints import endpoint_create, endpoint_update, endpoint_update_weights
from jobs.selectors.prices import instance_types_priced
from mlplatform.core.errors import Conflict, InvalidRequest, LimitExceeded, PlatformError
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.forms.async_inference import AsyncForm
from mlplatform.web.forms.data_capture import NEW_PERCENT
from mlplatform.web.forms.endpoints import EndpointForm, weights_from_post
from mlplatform.web.forms.training_jobs import errors_by_field, errors_of_new


@require_http_methods(["GET", "POST"])
def endpoint_new(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        model = request.GET.get("model", "")
        return _form_page(request, actor, EndpointForm.for_model(model, name=model[:63]))
    form = EndpointForm.from_post(request.POST)
    if request.POST.get("intent") == "preview":
        return render(request, "inc/code.html", {"code": _api_call(request, actor, form)})
    try:
        endpoint = endpoint_create(
            actor=actor,
            name=form.name,
            variants=form.variant_requests(),
            description=form.description,
            async_inference=form.asynchronous.request(),
            data_capture=form.capture.request(),
        )
    except PlatformError as error:
        return _form_page(request, actor, form, error=error)
    return redirect("web:endpoint-detail", project=project, name=endpoint.name)


@require_http_methods(["GET", "POST"])
def endpoint_edit(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    endpoint = endpoint_get(actor=actor, name=name)
    if request.method == "GET":
        variants = endpoint.wanted.variants.select_related("model")
        form = EndpointForm.from_variants(variants, name=endpoint.name, description=endpoint.description)
        form.asynchronous = AsyncForm.from_config(endpoint.wanted)
        return _form_page(request, actor, form, editing=True)
    form = EndpointForm.from_post(request.POST)
    form.name = endpoint.name
    try:
        endpoint_update(
            actor=actor,
            name=name,
            variants=form.variant_requests(),
            async_inference=form.asynchronous.request(),
        )
    except PlatformError as error:
        return _form_page(request, actor, form, error=error, editing=True)
    messages.info(request, _("The update is rolling out; requests are answered throughout."))
    return redirect("web:endpoint-detail", project=project, name=name)


@require_POST
def endpoint_weights(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    try:
        weights, counts = weights_from_post(request.POST)
        endpoint_update_weights(actor=actor, name=name, weights=weights, counts=counts)
    except (InvalidRequest, Conflict, LimitExceeded) as error:
        messages.error(request, translated_error(error).message)
    else:
        messages.success(request, _("Weights and counts are changed."))
    return redirect("web:endpoint-detail", project=project, name=name)


def _form_page(
    request: HttpRequest,
    actor: Actor,
    form: EndpointForm,
    *,
    error: PlatformError | None = None,
    editing: bool = False,
) -> HttpResponse:
    error = error and translated_error(error)
    errors = errors_by_field(error.errors) if error and editing else errors_of_new(error)
    rows = form.variants or EndpointForm.for_model("", name="").variants
    context = {
        "form": form,
        "editing": editing,
        "rows": [(row, _row_errors(errors, number)) for number, row in enumerate(rows)],
        "blank": EndpointForm.for_model("", name="").variants[0] | {"name": ""},
        "models": model_list(actor=actor, limit=100).items,
        "instance_types": instance_types_priced(),
        "memory_steps": [str(step) for step in MEMORY_STEPS_MB],
        "error": error,
        "errors": errors,
        "capture_error": errors.get(NEW_PERCENT, ""),
        "unplaced": [
            one
            for one in (error.errors if error else ())
            if one.field not in ("name", "description", NEW_PERCENT) and one.field.count(".") < 2
        ],
        "api_call": _api_call(request, actor, form),
    }
    return render(request, "endpoints/form.html", context, status=error.http_status if error else 200)


def _api_call(request: HttpRequest, actor: Actor, form: EndpointForm) -> str:
    return form.api_call(base_url=request.build_absolute_uri("/").rstrip("/"), project=actor.project.name)


def _row_errors(errors: dict[str, str], number: int) -> dict[str, str]:
    prefix = f"variants.{number}."
    return {
        name.removeprefix(prefix).removeprefix("serverless."): text
        for name, text in errors.items()
        if name.startswith(prefix)
    }
