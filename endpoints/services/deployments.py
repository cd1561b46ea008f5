"""From a completed job to an endpoint in one step: the job's model, made where there is none, and one variant of it."""

from __future__ import annotations

from dataclasses import replace

from endpoints.models import Endpoint, Model
from endpoints.selectors.models import model_of_job
from endpoints.services.endpoints import endpoint_create
from endpoints.services.models import model_create, model_delete
from endpoints.services.variants import VariantRequest
from mlplatform.core import clock
from mlplatform.core.models import Role
from mlplatform.core.names import name_check, name_with_time
from mlplatform.core.people.access import Actor


def training_job_deploy(
    *, actor: Actor, training_job: str, name: str, variant: VariantRequest | None = None
) -> Endpoint:
    """Serves the model of a job at a new endpoint `name`. A model that was made for it goes when that is refused.

    Args:
        variant: What it runs on; its model is that of the job, whatever it says. One `local.cpu` without it.

    Raises:
        InvalidRequest, LimitExceeded, AccessDenied: as of `model_create` and `endpoint_create`.
        Conflict: the name is taken.
    """
    actor.require(Role.EDITOR)
    name_check(name)
    model = model_of_job(actor=actor, training_job=training_job)
    if model is not None:
        return _serve(actor, name, model, variant)
    made = model_create(actor=actor, name=_model_name(actor, training_job), training_job=training_job)
    try:
        return _serve(actor, name, made, variant)
    except BaseException:
        model_delete(actor=actor, name=made.name)
        raise


def _serve(actor: Actor, name: str, model: Model, asked: VariantRequest | None) -> Endpoint:
    variant = replace(asked, model=model.name) if asked else VariantRequest(model=model.name)
    return endpoint_create(actor=actor, name=name, variants=[variant])


def _model_name(actor: Actor, training_job: str) -> str:
    """The job's own name; with the time after it where a model of something else has that name."""
    taken = Model.objects.filter(project=actor.project, name=training_job).exists()
    return name_with_time(training_job[:30], clock.now()) if taken else training_job
