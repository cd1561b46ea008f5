"""Deploys a completed job: one small form, a dialog's content for scripts and a page without them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from endpoints.elastic import MEMORY_STEPS_MB
from endpoints.models import Endpoint
from endpoints.selectors.evaluations import evaluation_get
from endpoints.selectors.models import model_of_job
from endpoints.services.deployments import training_job_deploy
from jobs.models import TrainingJob
from jobs.selectors.prices import instance_types_priced
from jobs.selectors.training import training_job_get
from mlplatform.core.errors import Conflict, LimitExceeded, NotFound, PlatformError
from mlplatform.core.models import Role
from mlplatform.core.names import NAME_MAX_LENGTH
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.forms.endpoints import SERVERLESS, EndpointForm
from mlplatform.web.next_page import next_page
from mlplatform.web.own_k import OwnK, own_k
from mlplatform.web.rendering import page_response

_PLACED = {
    False: ("name", "instance_type", "instance_count", "idle_after_s"),
    True: ("name", "memory_mb", "max_concurrency", "idle_after_s"),
}
"""The fields that show, and with them what is wrong, by whether serverless is chosen."""


@require_http_methods(["GET", "POST"])
def training_job_deploy_page(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    job = training_job_get(actor=actor, name=name)
    if request.method == "GET":
        form = EndpointForm.for_model("", name=_free_name(actor, job.name))
        form.variants[0]["instance_type"] = request.GET.get("instance_type") or "local.cpu"
        return _page(request, actor, job, form)
    form = EndpointForm.for_job(request.POST)
    try:
        variant = form.variant_requests()[0]
        endpoint = training_job_deploy(actor=actor, training_job=job.name, name=form.name, variant=variant)
    except PlatformError as error:
        return _page(request, actor, job, form, error)
    return redirect("web:endpoint-detail", project=project, name=endpoint.name)


def _page(
    request: HttpRequest,
    actor: Actor,
    job: TrainingJob,
    form: EndpointForm,
    error: PlatformError | None = None,
) -> HttpResponse:
    errors = _errors(error and translated_error(error))
    row = form.variants[0]
    context = {
        "job": job,
        "model": model_of_job(actor=actor, training_job=job.name),
        "form": form,
        "row": row,
        "errors": errors,
        "problems": errors,
        "unplaced": [
            text for field, text in errors.items() if field not in _PLACED[row["capacity"] == SERVERLESS]
        ],
        "instance_types": instance_types_priced(),
        "memory_steps": [str(step) for step in MEMORY_STEPS_MB],
        "own_k": _own_k(actor, job, request.GET.get("evaluation", "")),
        "back": next_page(
            request,
            reverse("web:training-job-detail", kwargs={"project": actor.project.name, "name": job.name}),
        ),
    }
    status = error.http_status if error else 200
    return page_response(request, "training_jobs/deploy.html", context, status=status)


def _own_k(actor: Actor, job: TrainingJob, evaluation: str) -> OwnK | None:
    """Who comes from an evaluation of the job has seen a score that its endpoint may not answer with."""
    if not evaluation:
        return None
    try:
        found = evaluation_get(actor=actor, name=evaluation)
    except NotFound:
        return None
    return own_k(found.summary or {}) if found.training_job_name == job.name else None


def _errors(error: PlatformError | None) -> dict[str, str]:
    """What is wrong by field of this form; the endpoint's one variant is no row here."""
    if error is None:
        return {}
    if not error.errors:
        place = {Conflict: "name", LimitExceeded: "instance_type"}.get(type(error), "")
        return {place: error.message}
    return {
        one.field.removeprefix("variants.0.").removeprefix("serverless."): one.message
        for one in reversed(error.errors)
    }


def _free_name(actor: Actor, stem: str) -> str:
    """The job's name, or with the first number after it under which there is no endpoint."""
    taken = set(Endpoint.objects.filter(project=actor.project).values_list("name", flat=True))
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem[: NAME_MAX_LENGTH - len(str(number)) - 1].rstrip('-')}-{number}"
    return name
