"""What a model is served by when a script serves it: framework, entry point, source, and what the script defines.

The script is read and never run: by a process of its own, since its text is anybody's. Called by the model services.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from endpoints.serving.script_outline import CODE_FOLDER, INFERENCE_NAME, handlers_conflict
from jobs.frameworks import framework_get
from jobs.models import Source, TrainingJob
from jobs.runner.said import said_text
from jobs.selectors.label_facts import predictor_type_of
from jobs.selectors.sources import source_content, source_get
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.errors import InvalidRequest, NotFound
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.archives import ArchiveContent
from mlplatform.core.text import text as _

SCRIPT_MAX_BYTES: Final = 1024 * 1024
_FILES_MAX: Final = 1000
_LOOK_S: Final = 20
_SHOWN_MAX: Final = 20


@dataclass(frozen=True, kw_only=True)
class ScriptGiven:
    """What a request says of a model's script; empty for what it does not say."""

    framework: str = ""
    entry_point: str = ""
    source: str = ""

    @property
    def is_any(self) -> bool:
        return bool(self.framework or self.entry_point or self.source)


@dataclass(frozen=True, kw_only=True)
class ModelScript:
    """The script that serves a model.

    Args:
        entry_point: Empty for a model without a script: everything is as the framework has it.
        facts: What the model's manifest says of it under `script`: the handlers that are defined, and the files.
    """

    framework: str
    entry_point: str
    source: Source | None
    facts: dict[str, Any]


def script_of_job(*, actor: Actor, job: TrainingJob, given: ScriptGiven) -> ModelScript:
    """That of a script's job: what is not given is taken over, and `inference.py` goes before the job's own script.

    Raises InvalidRequest.
    """
    source = _source(actor, given.source) if given.source else job.source
    framework = framework_get(given.framework or job.framework, field="framework").name
    if source is None:
        return ModelScript(framework=framework, entry_point=given.entry_point, source=None, facts={})
    own = job.entry_point if job.entry_point.endswith(".py") else ""
    return _of_source(source, framework, given.entry_point, otherwise=own)


def job_predictor_type(job: TrainingJob) -> str | None:
    """What a script's model predicts, as the labels of its training data have it; None where they have none."""
    given = job.inputs.select_related("dataset_version").filter(channel="train").first()
    version = given.dataset_version if given else None
    return None if version is None else predictor_type_of(version)


def script_of_source(*, actor: Actor, given: ScriptGiven) -> ModelScript:
    """That of a source which is given beside an artifact. Raises InvalidRequest."""
    framework = framework_get(given.framework, field="framework").name
    return _of_source(_source(actor, given.source), framework, given.entry_point, otherwise="")


def script_of_archive(*, content: ArchiveContent, given: ScriptGiven) -> ModelScript:
    """That in the `code/` of an artifact, or none where it has none. Raises InvalidRequest.

    Args:
        content: The artifact, its `entry_point_in_archive` read.
    """
    framework = framework_get(given.framework, field="framework").name
    prefix = f"{CODE_FOLDER}/"
    sizes = {
        path.removeprefix(prefix): size for path, size in content.sizes.items() if path.startswith(prefix)
    }
    entry_point = given.entry_point or (INFERENCE_NAME if INFERENCE_NAME in sizes else "")
    if entry_point and entry_point not in sizes:
        raise _no_entry_point(entry_point, list(sizes), _("the archive's code/ folder"))
    text = content.read.get(entry_point_in_archive(given)) if entry_point else None
    return ModelScript(
        framework=framework,
        entry_point=entry_point,
        source=None,
        facts=_facts(sizes, entry_point, text),
    )


def entry_point_in_archive(given: ScriptGiven) -> str:
    """Path in an artifact of the script that would serve it."""
    return f"{CODE_FOLDER}/{given.entry_point or INFERENCE_NAME}"


def _of_source(source: Source, framework: str, entry_point: str, *, otherwise: str) -> ModelScript:
    sizes = {file["path"]: int(file["size_bytes"]) for file in source.files}
    chosen = entry_point or (INFERENCE_NAME if INFERENCE_NAME in sizes else otherwise)
    if chosen and chosen not in sizes:
        raise _no_entry_point(chosen, list(sizes), _("the source"))
    if not chosen:
        message = _(
            "is needed: the source has no {name}; it has {files}",
            name=INFERENCE_NAME,
            files=_shown(list(sizes)),
        )
        if not otherwise and any(path.endswith(".py") for path in sizes):
            raise InvalidRequest.for_field("entry_point", message)
    try:
        text = source_content(source=source)[chosen] if chosen else None
    except NotFound as error:
        raise InvalidRequest.for_field("source", error.message) from None
    return ModelScript(
        framework=framework, entry_point=chosen, source=source, facts=_facts(sizes, chosen, text)
    )


def _source(actor: Actor, uid: str) -> Source:
    try:
        return source_get(actor=actor, uid=uid)
    except NotFound as error:
        raise InvalidRequest.for_field("source", error.message) from None


def _facts(sizes: Mapping[str, int], entry_point: str, text: bytes | None) -> dict[str, Any]:
    files = [{"path": path, "size_bytes": size} for path, size in sorted(sizes.items())[:_FILES_MAX]]
    return {"handlers": _handlers(text, entry_point) if text is not None else [], "files": files}


def _handlers(text: bytes, entry_point: str) -> list[str]:
    """The handlers that a script defines. Raises InvalidRequest: a syntax error, or some that exclude one another."""
    if not entry_point.endswith(".py"):
        raise InvalidRequest.for_field(
            "entry_point", _("{value} is not accepted; use a .py file", value=repr(entry_point[:80]))
        )
    if len(text) > SCRIPT_MAX_BYTES:
        limit = f"{SCRIPT_MAX_BYTES:,}"
        raise InvalidRequest.for_field("entry_point", _("has more than {limit} bytes", limit=limit))
    found = _outline(text, entry_point)
    if "error" in found:
        raise InvalidRequest.for_field("entry_point", said_text(found["error"]))
    handlers = [str(name) for name in found.get("handlers", [])]
    conflict = handlers_conflict(handlers)
    if conflict:
        raise InvalidRequest.for_field("entry_point", conflict)
    return handlers


def _outline(text: bytes, entry_point: str) -> dict[str, Any]:
    """What the process says; nothing where it could not say it, since the model server looks again."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "endpoints.serving.script_outline", entry_point],
            input=text,
            capture_output=True,
            timeout=_LOOK_S,
            cwd=PROJECT_ROOT,
        )
        found = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _no_entry_point(entry_point: str, paths: Sequence[str], where: str) -> InvalidRequest:
    message = _(
        "{value} is not in {where}; it has {files}",
        value=repr(entry_point[:80]),
        where=where,
        files=_shown(paths),
    )
    return InvalidRequest.for_field("entry_point", message)


def _shown(paths: Sequence[str]) -> str:
    return ", ".join(paths[:_SHOWN_MAX]) or "-"
