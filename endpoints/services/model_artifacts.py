"""What a model is made of, before it is copied: the artifact of a job, an object of the project's bucket, or an upload.

Checks what is asked and looks into archives that no job of ours recorded. Called by the model services only.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext as _

from endpoints.services.model_scripts import (
    SCRIPT_MAX_BYTES,
    ModelScript,
    ScriptGiven,
    entry_point_in_archive,
    job_predictor_type,
    script_of_archive,
    script_of_job,
    script_of_source,
)
from jobs.algorithms.registry import ALGORITHMS, SCRIPT
from jobs.frameworks import FRAMEWORKS, framework_get
from jobs.models import TrainingJob
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.names import uri_split
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.archives import ArchiveError, archive_look, archive_read_file
from mlplatform.core.storage.objects import object_store

MANIFEST_NAME: Final = "manifest.json"
_MANIFEST_LIMIT_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True)
class Artifact:
    """What a model is made of; `uri` or, for an upload, `path`.

    Args:
        given: What the request says of the script; the artifact is looked into for the rest.
        script: What is known of the script already.
    """

    algorithm: str
    uri: str = ""
    path: Path | None = None
    job: TrainingJob | None = None
    sha256: str = ""
    manifest: dict[str, Any] = field(default_factory=dict)
    given: ScriptGiven = field(default_factory=ScriptGiven)
    script: ModelScript | None = None

    @property
    def field(self) -> str:
        """The field of the request that named it."""
        return "training_job" if self.job else "artifact_uri" if self.uri else "archive"


def artifact_of_job(
    *, actor: Actor, training_job: str, algorithm: str | None, given: ScriptGiven
) -> Artifact:
    """Raises InvalidRequest."""
    job = (
        TrainingJob.objects.select_related("source").filter(project=actor.project, name=training_job).first()
    )
    if job is None:
        raise InvalidRequest.for_field("training_job", no_job(training_job))
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
    if job.algorithm != SCRIPT and given.is_any:
        raise InvalidRequest.for_field(
            "framework",
            _("“%(job)s” was trained by %(algorithm)s, which serves its models itself; leave out the script")
            % {"job": job.name, "algorithm": job.algorithm},
        )
    script = script_of_job(actor=actor, job=job, given=given) if job.algorithm == SCRIPT else None
    manifest = dict(job.manifest or {})
    if script is not None and manifest.get("predictor_type") not in ("classifier", "regressor"):
        manifest["predictor_type"] = job_predictor_type(job)
    return Artifact(
        job.algorithm,
        uri=job.artifact_uri,
        job=job,
        sha256=job.artifact_sha256,
        manifest=manifest,
        given=given,
        script=script,
    )


def artifact_of_uri(
    *, actor: Actor, artifact_uri: str, algorithm: str | None, given: ScriptGiven
) -> Artifact:
    """Raises InvalidRequest."""
    bucket = uri_split(artifact_uri, field="artifact_uri")[0]
    name, script = _served_by(actor, algorithm, given, "artifact_uri")
    if bucket != actor.project.bucket or object_store().size(artifact_uri) is None:
        raise no_object(actor, artifact_uri)
    return Artifact(name, uri=artifact_uri, given=given, script=script)


def artifact_of_upload(*, actor: Actor, path: Path, algorithm: str | None, given: ScriptGiven) -> Artifact:
    """Raises InvalidRequest."""
    name, script = _served_by(actor, algorithm, given, "archive")
    return Artifact(name, path=path, given=given, script=script)


def artifact_look(artifact: Artifact, own_uri: str) -> Artifact:
    """With digest, manifest and script of the archive as it lies at `own_uri`; as it is where a job recorded them.

    Raises InvalidRequest: it is no archive, or not what the request says it is.
    """
    if artifact.job and (artifact.script is None or artifact.script.source is not None):
        return artifact
    with _as_file(own_uri) as path:
        try:
            return _looked(artifact, path)
        except (ArchiveError, ValueError) as error:
            raise InvalidRequest.for_field(
                artifact.field, _("is not a model archive (.tar.gz): %(reason)s") % {"reason": error}
            ) from None


def no_job(training_job: str) -> str:
    return _("there is no training job “%(name)s”") % {"name": training_job[:63]}


def no_object(actor: Actor, artifact_uri: str) -> InvalidRequest:
    return InvalidRequest.for_field(
        "artifact_uri",
        _("there is no object %(uri)s; objects of this project lie in s3://%(bucket)s/")
        % {"uri": artifact_uri[:200], "bucket": actor.project.bucket},
    )


def artifact_gone(actor: Actor, artifact: Artifact) -> InvalidRequest:
    if artifact.job is None:
        return no_object(actor, artifact.uri)
    return InvalidRequest.for_field("training_job", _("the artifact of this job is no longer there"))


def _served_by(
    actor: Actor, algorithm: str | None, given: ScriptGiven, beside: str
) -> tuple[str, ModelScript | None]:
    """The algorithm of an archive, and its script where that is in a source and not in the archive itself."""
    if algorithm in (None, "", SCRIPT) and (given.is_any or algorithm == SCRIPT):
        if not given.framework:
            raise InvalidRequest.for_field(
                "framework",
                _("is needed for a model that a script serves; use one of %(accepted)s")
                % {"accepted": ", ".join(FRAMEWORKS)},
            )
        framework_get(given.framework, field="framework")
        return SCRIPT, script_of_source(actor=actor, given=given) if given.source else None
    accepted = ", ".join(ALGORITHMS)
    if not algorithm:
        raise InvalidRequest.for_field(
            "algorithm",
            _("is needed with %(beside)s; use one of %(accepted)s, or give a framework for a script’s model")
            % {"beside": beside, "accepted": accepted},
        )
    if algorithm not in ALGORITHMS:
        raise InvalidRequest.for_field(
            "algorithm",
            _("“%(given)s” is not known; use one of %(accepted)s")
            % {"given": algorithm[:40], "accepted": accepted},
        )
    if given.is_any:
        raise InvalidRequest.for_field(
            "framework",
            _("%(algorithm)s serves its models itself; leave out the script") % {"algorithm": algorithm},
        )
    return algorithm, None


def _looked(artifact: Artifact, path: Path) -> Artifact:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if artifact.algorithm == SCRIPT:
        inner = entry_point_in_archive(artifact.given)
        found = archive_look(
            path, limits_bytes={MANIFEST_NAME: _MANIFEST_LIMIT_BYTES, inner: SCRIPT_MAX_BYTES}
        )
        script = artifact.script or script_of_archive(content=found, given=artifact.given)
        if artifact.job:
            return _with(artifact, artifact.sha256, artifact.manifest, script)
        return _with(artifact, sha256, _manifest(artifact, found.read.get(MANIFEST_NAME)), script)
    content = archive_read_file(path, MANIFEST_NAME, limit_bytes=_MANIFEST_LIMIT_BYTES)
    return _with(artifact, sha256, _manifest(artifact, content), None)


def _with(artifact: Artifact, sha256: str, manifest: dict[str, Any], script: ModelScript | None) -> Artifact:
    return Artifact(
        artifact.algorithm,
        uri=artifact.uri,
        path=artifact.path,
        job=artifact.job,
        sha256=sha256,
        manifest=manifest,
        given=artifact.given,
        script=script,
    )


def _manifest(artifact: Artifact, content: bytes | None) -> dict[str, Any]:
    manifest = json.loads(content) if content else {}
    if not isinstance(manifest, dict):
        raise InvalidRequest.for_field(
            artifact.field, _("%(file)s in it is not a JSON object") % {"file": MANIFEST_NAME}
        )
    made_by = manifest.get("algorithm", artifact.algorithm)
    if made_by != artifact.algorithm and artifact.algorithm != SCRIPT:
        raise InvalidRequest.for_field(
            "algorithm",
            _("“%(given)s” did not make this archive; its manifest says “%(algorithm)s”")
            % {"given": artifact.algorithm, "algorithm": str(made_by)[:40]},
        )
    return {**manifest, "algorithm": artifact.algorithm} if content or artifact.algorithm != SCRIPT else {}


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
