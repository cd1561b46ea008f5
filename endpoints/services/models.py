"""Makes and deletes models. A model owns its artifact: an immutable copy (a link, where the store is a folder)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from endpoints.models import EndpointConfig, Model
from endpoints.selectors.models import model_ending_uses, model_get, model_uses
from endpoints.services.model_artifacts import (
    Artifact,
    artifact_gone,
    artifact_look,
    artifact_of_job,
    artifact_of_upload,
    artifact_of_uri,
    no_job,
)
from endpoints.services.model_scripts import ScriptGiven
from jobs.models import Source, TrainingJob
from jobs.services.request_checks import environment_check
from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest, NotFound
from mlplatform.core.models import Role
from mlplatform.core.names import name_check, uid_new, uri
from mlplatform.core.people.access import Actor, project_lock
from mlplatform.core.storage.objects import object_store, objects_bury, objects_take_back


def model_create(
    *,
    actor: Actor,
    name: str,
    training_job: str | None = None,
    artifact_uri: str | None = None,
    archive: Path | None = None,
    algorithm: str | None = None,
    framework: str | None = None,
    entry_point: str | None = None,
    source: str | None = None,
    environment: Mapping[str, str] | None = None,
    description: str = "",
) -> Model:
    """A model from the artifact of a job, or from a `model.tar.gz` of the project's bucket or as it was uploaded.

    Args:
        training_job: Name of a job that has an artifact; its algorithm, digest and manifest are taken over, and of a
            script's job framework, source and entry point (`inference.py` where the source has one).
        artifact_uri: `s3://bucket/key` of an archive, together with `algorithm`, or with `framework` for a model that
            a script serves.
        archive: The same as a file, which stays the caller's.
        entry_point: The script that serves it, in `source` or else in the archive's `code/`; `inference.py` there, if
            it is not given.
        source: uid of a source, which goes before the archive's `code/`.
        environment: Variables of the model server's process.

    Raises:
        InvalidRequest: a field that cannot be used, or not exactly one of `training_job`, `artifact_uri`, `archive`.
        Conflict: the name is taken.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    name_check(name)
    if sum(map(bool, (training_job, artifact_uri, archive))) != 1:
        raise InvalidRequest.for_field(
            "training_job", _("give one of training_job, artifact_uri and an archive, not several or none")
        )
    errors: list[FieldError] = []
    variables = environment_check(environment or {}, errors)
    if errors:
        raise InvalidRequest.for_fields(errors)
    _refuse_taken(actor, name)
    given = ScriptGiven(
        framework=(framework or "")[:40], entry_point=(entry_point or "")[:200], source=(source or "")[:40]
    )
    if training_job:
        artifact = artifact_of_job(actor=actor, training_job=training_job, algorithm=algorithm, given=given)
    elif archive is not None:
        artifact = artifact_of_upload(actor=actor, path=archive, algorithm=algorithm, given=given)
    else:
        uri_given = artifact_uri or ""
        artifact = artifact_of_uri(actor=actor, artifact_uri=uri_given, algorithm=algorithm, given=given)
    return _store(actor, name, artifact, environment=variables, description=description[:2000])


def model_delete(*, actor: Actor, name: str) -> None:
    """Deletes a model and its artifact.

    Raises:
        NotFound: no such model.
        Conflict: endpoints use it, or model servers that end have it open still; the message names the endpoints.
    """
    actor.require(Role.EDITOR)
    with transaction.atomic():
        project_lock(actor.project)
        model = model_get(actor=actor, name=name)
        _refuse_used(model)
        EndpointConfig.objects.filter(variants__model=model).delete()
        artifact_uri = model.artifact_uri
        model.delete()
        objects_bury([artifact_uri], reason="model")
        audit_record(actor=actor, action="model.delete", target=name)


def _refuse_used(model: Model) -> None:
    users = ", ".join(endpoint.name for endpoint in model_uses(model=model))
    if users:
        raise Conflict(
            _("Model “%(name)s” is used by endpoint %(users)s; delete or update that first")
            % {"name": model.name, "users": users}
        )
    jobs = list(model.transform_jobs.order_by("name").values_list("name", flat=True)[:10])
    if jobs:
        raise Conflict(
            _("Model “%(name)s” is used by transform job %(jobs)s; delete that first")
            % {"name": model.name, "jobs": ", ".join(jobs)}
        )
    ending = ", ".join(endpoint.name for endpoint in model_ending_uses(model=model))
    if ending:
        raise Conflict(
            _(
                "Model “%(name)s” is still served by replicas of endpoint %(users)s that are ending; wait for that"
            )
            % {"name": model.name, "users": ending}
        )


def _refuse_taken(actor: Actor, name: str) -> None:
    if Model.objects.filter(project=actor.project, name=name).exists():
        raise Conflict(
            _("A model named “%(name)s” already exists in project %(project)s")
            % {"name": name, "project": actor.project.name}
        )


def _store(
    actor: Actor, name: str, artifact: Artifact, *, environment: dict[str, str], description: str
) -> Model:
    uid = uid_new()
    own_uri = uri(actor.project.bucket, f"models/{uid}/model.tar.gz")
    _bring(actor, artifact, own_uri)
    try:
        looked = artifact_look(artifact, own_uri)
        script = looked.script
        with transaction.atomic():
            _hold_job(looked.job)
            model = Model.objects.create(
                project=actor.project,
                name=name,
                uid=uid,
                training_job=looked.job,
                algorithm=looked.algorithm,
                framework=script.framework if script else "",
                entry_point=script.entry_point if script else "",
                source=_hold_source(script.source) if script else None,
                artifact_uri=own_uri,
                artifact_sha256=looked.sha256,
                artifact_bytes=object_store().size(own_uri) or 0,
                manifest={**looked.manifest, "script": script.facts} if script else looked.manifest,
                environment=environment,
                description=description,
                created_by=actor.user,
                created_at=clock.now(),
            )
            _audit_create(actor, model)
            return model
    except BaseException as error:
        objects_take_back([own_uri])
        if isinstance(error, IntegrityError):
            _refuse_taken(actor, name)
        raise


def _bring(actor: Actor, artifact: Artifact, own_uri: str) -> None:
    """Copies the artifact to its own place. Raises InvalidRequest where it is gone."""
    if artifact.path is not None:
        object_store().put_file(artifact.path, own_uri)
        return
    try:
        object_store().copy(artifact.uri, own_uri)
    except NotFound:
        raise artifact_gone(actor, artifact) from None


def _hold_source(source: Source | None) -> Source | None:
    """The source stays until the transaction ends. Raises InvalidRequest: removed meanwhile."""
    if source is None:
        return None
    held = Source.objects.select_for_update().filter(pk=source.pk).first()
    if held is None:
        raise InvalidRequest.for_field("source", _("it was removed meanwhile; send it again"))
    return held


def _audit_create(actor: Actor, model: Model) -> None:
    detail = {
        "algorithm": model.algorithm,
        "framework": model.framework,
        "training_job": model.training_job.name if model.training_job else None,
        "sha256": model.artifact_sha256,
        "environment": sorted(model.environment),
    }
    audit_record(actor=actor, action="model.create", target=model.name, detail=detail)


def _hold_job(job: TrainingJob | None) -> None:
    """The job stays until the transaction ends. Raises Conflict: deleted meanwhile."""
    if job and not TrainingJob.objects.select_for_update().filter(pk=job.pk).values_list("pk").first():
        error = FieldError("training_job", no_job(job.name))
        raise Conflict(f"{error.field}: {error.message}", errors=[error])
