"""Makes and deletes models. A model owns its artifact: an immutable copy (a link, where the store is a folder)."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from endpoints.models import EndpointConfig, Model
from endpoints.selectors.models import model_ending_uses, model_get, model_uses
from jobs.algorithms.registry import ALGORITHMS
from jobs.models import TrainingJob
from jobs.services.request_checks import environment_check
from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest, NotFound
from mlplatform.core.models import Role
from mlplatform.core.names import name_check, uid_new, uri, uri_split
from mlplatform.core.people.access import Actor, project_lock
from mlplatform.core.storage.archives import ArchiveError, archive_read_file
from mlplatform.core.storage.objects import object_store, objects_bury, objects_take_back

MANIFEST_NAME = "manifest.json"
_MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class _Artifact:
    """What a model is made of, before it is copied."""

    uri: str
    algorithm: str
    job: TrainingJob | None = None
    sha256: str = ""
    manifest: dict[str, Any] = field(default_factory=dict)


def model_create(
    *,
    actor: Actor,
    name: str,
    training_job: str | None = None,
    artifact_uri: str | None = None,
    algorithm: str | None = None,
    environment: Mapping[str, str] | None = None,
    description: str = "",
) -> Model:
    """A model from the artifact of a job, or from a `model.tar.gz` of the project's bucket.

    Args:
        training_job: Name of a job that has an artifact; its algorithm, digest and manifest are taken over.
        artifact_uri: `s3://bucket/key` of an archive, together with `algorithm`.
        environment: Variables of the model server's process.

    Raises:
        InvalidRequest: a field that cannot be used, or not exactly one of `training_job` and `artifact_uri`.
        Conflict: the name is taken.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    name_check(name)
    if bool(training_job) == bool(artifact_uri):
        raise InvalidRequest.for_field(
            "training_job", _("give either training_job or artifact_uri, not both or none")
        )
    errors: list[FieldError] = []
    variables = environment_check(environment or {}, errors)
    if errors:
        raise InvalidRequest.for_fields(errors)
    _refuse_taken(actor, name)
    artifact = (
        _of_job(actor, training_job, algorithm)
        if training_job
        else _of_uri(actor, artifact_uri or "", algorithm)
    )
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


def _of_job(actor: Actor, training_job: str, algorithm: str | None) -> _Artifact:
    job = TrainingJob.objects.filter(project=actor.project, name=training_job).first()
    if job is None:
        raise InvalidRequest.for_field("training_job", _no_job(training_job))
    if not job.artifact_uri:
        raise InvalidRequest.for_field(
            "training_job",
            _("“%(name)s” is %(status)s and has no model; use a job that is Completed")
            % {"name": job.name, "status": job.status},
        )
    if algorithm and algorithm != job.algorithm:
        raise InvalidRequest.for_field(
            "algorithm",
            _("“%(given)s” did not train “%(job)s”; leave it out or use “%(algorithm)s”")
            % {"given": algorithm[:40], "job": job.name, "algorithm": job.algorithm},
        )
    return _Artifact(job.artifact_uri, job.algorithm, job, job.artifact_sha256, job.manifest or {})


def _of_uri(actor: Actor, artifact_uri: str, algorithm: str | None) -> _Artifact:
    bucket = uri_split(artifact_uri, field="artifact_uri")[0]
    accepted = ", ".join(ALGORITHMS)
    if not algorithm:
        raise InvalidRequest.for_field(
            "algorithm", _("is needed with artifact_uri; use one of %(accepted)s") % {"accepted": accepted}
        )
    if algorithm not in ALGORITHMS:
        raise InvalidRequest.for_field(
            "algorithm",
            _("“%(given)s” is not known; use one of %(accepted)s")
            % {"given": algorithm[:40], "accepted": accepted},
        )
    if bucket != actor.project.bucket or object_store().size(artifact_uri) is None:
        raise _no_object(actor, artifact_uri)
    return _Artifact(artifact_uri, algorithm)


def _store(
    actor: Actor, name: str, artifact: _Artifact, *, environment: dict[str, str], description: str
) -> Model:
    uid = uid_new()
    own_uri = uri(actor.project.bucket, f"models/{uid}/model.tar.gz")
    try:
        object_store().copy(artifact.uri, own_uri)
    except NotFound:
        raise _artifact_gone(actor, artifact) from None
    try:
        sha256, manifest = (
            (artifact.sha256, artifact.manifest) if artifact.job else _look_into(own_uri, artifact)
        )
        with transaction.atomic():
            _hold_job(artifact.job)
            model = Model.objects.create(
                project=actor.project,
                name=name,
                uid=uid,
                training_job=artifact.job,
                algorithm=artifact.algorithm,
                artifact_uri=own_uri,
                artifact_sha256=sha256,
                artifact_bytes=object_store().size(own_uri) or 0,
                manifest=manifest,
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


def _audit_create(actor: Actor, model: Model) -> None:
    detail = {
        "algorithm": model.algorithm,
        "training_job": model.training_job.name if model.training_job else None,
        "sha256": model.artifact_sha256,
        "environment": sorted(model.environment),
    }
    audit_record(actor=actor, action="model.create", target=model.name, detail=detail)


def _hold_job(job: TrainingJob | None) -> None:
    """The job stays until the transaction ends. Raises Conflict: deleted meanwhile."""
    if job and not TrainingJob.objects.select_for_update().filter(pk=job.pk).values_list("pk").first():
        error = FieldError("training_job", _no_job(job.name))
        raise Conflict(f"{error.field}: {error.message}", errors=[error])


def _no_job(name: str) -> str:
    return _("there is no training job “%(name)s”") % {"name": name[:63]}


def _no_object(actor: Actor, artifact_uri: str) -> InvalidRequest:
    return InvalidRequest.for_field(
        "artifact_uri",
        _("there is no object %(uri)s; objects of this project lie in s3://%(bucket)s/")
        % {"uri": artifact_uri[:200], "bucket": actor.project.bucket},
    )


def _artifact_gone(actor: Actor, artifact: _Artifact) -> InvalidRequest:
    if artifact.job is None:
        return _no_object(actor, artifact.uri)
    return InvalidRequest.for_field("training_job", _("the artifact of this job is no longer there"))


def _look_into(own_uri: str, artifact: _Artifact) -> tuple[str, dict[str, Any]]:
    """Digest and manifest of an archive that no job of ours recorded."""
    with _as_file(own_uri) as path:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        try:
            content = archive_read_file(path, MANIFEST_NAME, limit_bytes=_MANIFEST_LIMIT_BYTES)
            manifest = json.loads(content) if content else {}
        except (ArchiveError, ValueError) as error:
            raise InvalidRequest.for_field(
                "artifact_uri", _("is not a model archive (.tar.gz): %(reason)s") % {"reason": error}
            ) from None
    if not isinstance(manifest, dict):
        raise InvalidRequest.for_field(
            "artifact_uri", _("%(file)s in it is not a JSON object") % {"file": MANIFEST_NAME}
        )
    made_by = manifest.get("algorithm", artifact.algorithm)
    if made_by != artifact.algorithm:
        raise InvalidRequest.for_field(
            "algorithm",
            _("“%(given)s” did not make this archive; its manifest says “%(algorithm)s”")
            % {"given": artifact.algorithm, "algorithm": str(made_by)[:40]},
        )
    return sha256, {"algorithm": artifact.algorithm, **manifest}


@contextmanager
def _as_file(own_uri: str) -> Iterator[Path]:
    local = object_store().local_path(own_uri)
    if local is not None:
        yield local
        return
    with tempfile.TemporaryDirectory(prefix="mlplatform-model-") as folder:
        path = Path(folder) / "model.tar.gz"
        object_store().download(own_uri, path)
        yield path
