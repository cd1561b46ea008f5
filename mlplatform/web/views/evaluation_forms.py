"""What is asked for on pages of evaluations: a new one, to stop one, to delete one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from endpoints.models import Endpoint, ProductionVariant
from endpoints.selectors.endpoints import endpoint_list
from endpoints.selectors.evaluations import evaluation_get, evaluation_repeat_request
from endpoints.services.evaluation_facts import evaluation_facts, has_k
from endpoints.services.evaluations import evaluation_create, evaluation_delete, evaluation_stop
from jobs.selectors.datasets import dataset_list
from mlplatform.core import clock, names
from mlplatform.core.errors import Conflict, PlatformError
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor
from mlplatform.core.status import EndpointStatus
from mlplatform.core.translation import translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.dataset_fit import datasets_with_reasons
from mlplatform.web.forms.evaluations import EvaluationForm
from mlplatform.web.forms.training_jobs import errors_by_field
from mlplatform.web.views.confirm import confirm_page

FIELDS = ("name", "endpoint", "variant", "dataset", "k_max", "batches", "single_requests")


@require_http_methods(["GET", "POST"])
def evaluation_new(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        return _form_page(request, actor, _first_form(request, actor))
    form = EvaluationForm.from_query(request.POST)
    if request.POST.get("intent") == "preview":
        return render(request, "inc/code.html", {"code": _api_call(request, actor, form)})
    try:
        evaluation = evaluation_create(actor=actor, **form.service_arguments())
    except PlatformError as error:
        return _form_page(request, actor, form, error)
    return redirect("web:evaluation-detail", project=project, name=evaluation.name)


@require_POST
def evaluation_stop_page(request: HttpRequest, project: str, name: str) -> HttpResponse:
    try:
        evaluation_stop(actor=page_actor(request, project), name=name)
    except Conflict as error:  # it ended while the button was on the page
        messages.warning(request, translated_error(error).message)
    else:
        messages.info(request, _("The evaluation is asked to stop."))
    return redirect("web:evaluation-detail", project=project, name=name)


@require_http_methods(["GET", "POST"])
def evaluation_delete_page(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        evaluation = evaluation_get(actor=actor, name=name)
        return confirm_page(
            request,
            title=_("Delete evaluation %(name)s?") % {"name": evaluation.name},
            text=_("The endpoint, its model and the dataset stay. Deleted with it:"),
            goes=[_("its scores, latencies and tables"), _("its prediction for every row")],
            back=reverse("web:evaluation-detail", kwargs={"project": project, "name": name}),
            refusal="" if evaluation.ended else _("It has not ended; stop it first."),
        )
    evaluation_delete(actor=actor, name=name)
    messages.success(request, _("Evaluation %(name)s is deleted.") % {"name": name})
    return redirect("web:evaluation-list", project=project)


def _first_form(request: HttpRequest, actor: Actor) -> EvaluationForm:
    repeated = request.GET.get("repeat", "")
    if repeated:
        return EvaluationForm.from_request(evaluation_repeat_request(actor=actor, name=repeated))
    form = EvaluationForm.from_query(request.GET)
    if form.endpoint and not form.is_named_by_hand:
        form.name = names.name_with_time(form.endpoint[:30], clock.now())
    return form


def _form_page(
    request: HttpRequest, actor: Actor, form: EvaluationForm, error: PlatformError | None = None
) -> HttpResponse:
    error = error and translated_error(error)
    errors = _errors(error)
    endpoints = endpoint_list(actor=actor, order="name", limit=100).items
    chosen = next((one for one in endpoints if one.name == form.endpoint), None)
    variants = list((chosen.live or chosen.wanted).variants.all()) if chosen else []
    variant = next((one for one in variants if one.name == form.variant), variants[0] if variants else None)
    context = {
        "form": form,
        "endpoints": endpoints,
        "any_answers": any(_answers(one) for one in endpoints),
        "unlisted": bool(form.endpoint) and chosen is None,
        "variants": variants,
        "datasets": datasets_with_reasons(
            dataset_list(actor=actor, limit=100).items, [variant.model] if variant else []
        ),
        "dataset_name": form.dataset.partition("@")[0],
        "k": _k(variant),
        "has_k": variant is None or has_k(variant.model.algorithm),
        "error": error,
        "errors": errors,
        "unplaced": [one for one in (error.errors if error else ()) if one.field not in FIELDS],
        "api_call": _api_call(request, actor, form),
    }
    return render(request, "evaluations/new.html", context, status=error.http_status if error else 200)


def _errors(error: PlatformError | None) -> dict[str, str]:
    """By field. A conflict that names none is about the state of the endpoint."""
    if isinstance(error, Conflict) and not error.errors:
        return {"endpoint": error.message}
    return errors_by_field(error.errors) if error else {}


def _k(variant: ProductionVariant | None) -> Any:
    return evaluation_facts(variant=variant)["k"] if variant else None


def _answers(endpoint: Endpoint) -> bool:
    return endpoint.status == EndpointStatus.IN_SERVICE


def _api_call(request: HttpRequest, actor: Actor, form: EvaluationForm) -> str:
    return form.api_call(base_url=request.build_absolute_uri("/").rstrip("/"), project=actor.project.name)
