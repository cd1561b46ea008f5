"""Reads models. Called by services and faces."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from endpoints.models import Endpoint, Model
from mlplatform.core.errors import NotFound
from mlplatform.core.pages import LIMIT_DEFAULT, Page, page_of
from mlplatform.core.people.access import Actor

_LONG_OF_JOBS = ("manifest", "hyperparameters", "environment", "metric_definitions", "progress", "failure")
MODEL_ORDERS = {"created": "created_at", "name": "name", "algorithm": "algorithm", "size": "artifact_bytes"}


def model_list(
    *,
    actor: Actor,
    search: str = "",
    algorithm: str = "",
    order: str = "-created",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[Model]:
    """The project's models whose name or description contains `search`."""
    models = Model.objects.filter(project=actor.project)
    if search:
        models = models.filter(Q(name__icontains=search) | Q(description__icontains=search))
    if algorithm:
        models = models.filter(algorithm=algorithm)
    return page_of(models, orders=MODEL_ORDERS, order=order, limit=limit, cursor=cursor, load=_listed)


def model_get(*, actor: Actor, name: str) -> Model:
    """Raises NotFound, alike for a model of another project and for none."""
    found = (
        Model.objects.select_related("project", "training_job", "created_by", "source")
        .filter(project=actor.project, name=name)
        .first()
    )
    if found is None:
        raise NotFound(_("There is no model “%(name)s”") % {"name": name[:63]})
    return found


def model_of_job(*, actor: Actor, training_job: str) -> Model | None:
    """The newest model made from the job of that name; None where there is none."""
    models = Model.objects.filter(project=actor.project, training_job__name=training_job)
    return models.order_by("-created_at", "-pk").first()


def model_uses(*, model: Model) -> list[Endpoint]:
    """The endpoints that serve this model now or are about to."""
    asked = Q(wanted__variants__model=model) | Q(live__variants__model=model)
    return list(Endpoint.objects.filter(asked, project_id=model.project_id).distinct().order_by("name"))


def model_ending_uses(*, model: Model) -> list[Endpoint]:
    """The endpoints with replicas of this model, whatever they are asked for by now."""
    served = Q(replicas__variant__model=model)
    return list(Endpoint.objects.filter(served, project_id=model.project_id).distinct().order_by("name"))


def model_labels(*, model: Model) -> list[str] | None:
    """The text label of each predicted code, in order of codes; None where labels are numbers."""
    mapping = model.manifest.get("label_mapping")
    if not isinstance(mapping, dict) or not mapping:
        return None
    return [text for text, _ in sorted(mapping.items(), key=lambda item: int(item[1]))]


def _listed(models: QuerySet[Model]) -> QuerySet[Model]:
    """With what lists show; of the job its name, without its long fields."""
    related = models.select_related("project", "training_job", "created_by")
    return related.defer(*(f"training_job__{name}" for name in _LONG_OF_JOBS))
