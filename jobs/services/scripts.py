"""What a request says of its script, checked: framework, source and entry point. Called by the training, tuning and
model services and by forms.

A request in the SDK's own form says it among the hyperparameters (`sagemaker_program`, `sagemaker_submit_directory`)
and is read as one that says it here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jobs.algorithms.registry import SCRIPT
from jobs.frameworks import FRAMEWORKS, framework_get
from jobs.models import Source
from jobs.runner.script.arguments import PROGRAM, SUBMIT_DIRECTORY
from jobs.runner.source_files import entry_points
from jobs.selectors.sources import source_content, source_get
from jobs.services.sources import source_create, source_create_from_uri
from mlplatform.core.errors import FieldError, InvalidRequest, NotFound
from mlplatform.core.people.access import Actor
from mlplatform.core.text import text as _

ENTRY_POINT_MAX: Final = 200
_CHECKED_MAX_BYTES: Final = 1024 * 1024
_CHECK_S: Final = 20
_COMPILE: Final = """
import sys, warnings
warnings.simplefilter("ignore")
try:
    compile(sys.stdin.buffer.read(), sys.argv[1], "exec", dont_inherit=True)
except (SyntaxError, ValueError) as error:
    line = getattr(error, "lineno", None) or 0
    text = (getattr(error, "text", None) or "").strip()
    print(line, type(error).__name__, getattr(error, "msg", None) or error, text[:200], sep="\\x1f", end="")
"""


@dataclass(frozen=True, kw_only=True)
class ScriptRequest:
    """A script as asked for: `source` is the uid of a source, `entry_point` a path in it."""

    framework: str
    entry_point: str
    source: str


def script_request(
    *,
    actor: Actor,
    framework: str,
    entry_point: str,
    source: str | None = None,
    files: Mapping[str, bytes] | None = None,
    uri: str | None = None,
    field: str = "script",
) -> ScriptRequest:
    """A script whose source is given by one of three: the uid of one that is kept, files, or an address.

    Raises:
        InvalidRequest: The files or what lies at the address are not accepted.
        AccessDenied: The actor may not edit.
    """
    if files is not None:
        source = source_create(actor=actor, files=files, field=f"{field}.files").uid
    elif uri is not None:
        source = source_create_from_uri(actor=actor, uri=uri, field=f"{field}.uri").uid
    return ScriptRequest(framework=framework, entry_point=entry_point, source=source or "")


def script_check(*, actor: Actor, script: ScriptRequest, field: str = "script") -> Source:
    """The source of a script that can be run.

    Raises:
        InvalidRequest: An unknown framework or source, an entry point that is not there or has a syntax error; all of
            what is wrong.
    """
    errors: list[FieldError] = []
    try:
        framework_get(script.framework, field=f"{field}.framework")
    except InvalidRequest as error:
        errors += error.errors
    source = _source(actor, script, field, errors)
    if source is not None:
        try:
            errors += _entry_point_errors(source, script.entry_point, f"{field}.entry_point")
        except NotFound as error:
            errors.append(FieldError(f"{field}.source", error.message))
    if errors or source is None:
        raise InvalidRequest.for_fields(errors)
    return source


def script_of_hyperparameters(
    *, actor: Actor, algorithm: str, hyperparameters: Mapping[str, Any]
) -> tuple[ScriptRequest | None, dict[str, Any]]:
    """The script that a request in the SDK's form runs, and the hyperparameters without what says so; None for a
    request that runs none.

    Args:
        algorithm: A framework's name, or `script` for Python itself.

    Raises:
        InvalidRequest: The address of the code is missing or not accepted.
    """
    if PROGRAM not in hyperparameters or algorithm not in {SCRIPT, *FRAMEWORKS}:
        return None, dict(hyperparameters)
    address = _decoded(hyperparameters.get(SUBMIT_DIRECTORY))
    field = f"hyperparameters.{SUBMIT_DIRECTORY}"
    if not address:
        raise InvalidRequest.for_field(field, _("is required with {name}", name=PROGRAM))
    source = source_create_from_uri(actor=actor, uri=address, field=field)
    rest = {name: value for name, value in hyperparameters.items() if name not in {PROGRAM, SUBMIT_DIRECTORY}}
    framework = algorithm if algorithm in FRAMEWORKS else "python"
    entry_point = _decoded(hyperparameters[PROGRAM])
    return ScriptRequest(framework=framework, entry_point=entry_point, source=source.uid), rest


def _source(actor: Actor, script: ScriptRequest, field: str, errors: list[FieldError]) -> Source | None:
    try:
        return source_get(actor=actor, uid=script.source)
    except NotFound as error:
        errors.append(FieldError(f"{field}.source", error.message))
        return None


def _entry_point_errors(source: Source, entry_point: str, field: str) -> list[FieldError]:
    paths = [file["path"] for file in source.files]
    if entry_point not in paths:
        there = ", ".join((entry_points(paths) or paths)[:20])
        message = _("{value} is not in the source; it has {paths}", value=repr(entry_point[:80]), paths=there)
        return [FieldError(field, message)]
    if not entry_point.endswith((".py", ".sh")):
        message = _("{value} is not accepted; use a .py or .sh file", value=repr(entry_point[:80]))
        return [FieldError(field, message)]
    if len(entry_point) > ENTRY_POINT_MAX:
        return [FieldError(field, _("is too long; use at most {n} characters", n=ENTRY_POINT_MAX))]
    said = _syntax_error(source.uid, entry_point) if entry_point.endswith(".py") else ""
    return [FieldError(field, said)] if said else []


@lru_cache(maxsize=256)
def _syntax_error(uid: str, path: str) -> str:
    """What the compiler says against a file, with the line; empty where there is nothing. A source never changes, so
    that each is looked at once.
    """
    content = source_content(source=Source.objects.get(uid=uid))[path]
    return "" if len(content) > _CHECKED_MAX_BYTES else _compiled(content, path)


def _compiled(content: bytes, path: str) -> str:
    """A process of its own compiles, since text that is nested deeply enough can end a compiler."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _COMPILE, path],
            input=content,
            capture_output=True,
            timeout=_CHECK_S,
        )
    except subprocess.TimeoutExpired:
        return ""
    line, _separator, rest = done.stdout.decode("utf-8", "replace").partition("\x1f")
    if not rest:
        return ""
    kind, message, text = rest.split("\x1f", 2)
    if line == "0":
        return _("{file}: {kind}: {message}", file=path, kind=kind, message=message)
    if not text:
        return _("{file}, line {line}: {kind}: {message}", file=path, line=line, kind=kind, message=message)
    return _(
        "{file}, line {line}: {kind}: {message}: {text}",
        file=path,
        line=line,
        kind=kind,
        message=message,
        text=text,
    )


def _decoded(value: Any) -> str:
    """The text of a value that the SDK has encoded as JSON, quotes and all."""
    try:
        found = json.loads(str(value))
    except ValueError:
        found = value
    return found if isinstance(found, str) else ""
