"""What the form of a script's job shows: its files in the editor, its framework, free hyperparameters and channels."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from jobs.frameworks import FRAMEWORKS
from jobs.runner.source_files import entry_points
from mlplatform.core.errors import NotFound, PlatformError
from mlplatform.core.people.access import Actor
from mlplatform.core.text import Text
from mlplatform.web.forms.scripts import CHANNELS_SUGGESTED, ScriptForm
from mlplatform.web.forms.training_jobs import TrainingJobForm
from mlplatform.web.script_examples import example_list
from mlplatform.web.script_files import entry_point_of, script_files
from mlplatform.web.script_sources import stored_files

SOURCE_FIELDS: Final = ("script.source", "source", "files", "archive", "uri", "script.uri", "script.example")
"""Errors that are about the files as a whole, by whatever way they came."""
FILE_FIELDS: Final = ("files.", "script.files.")
SCRIPT_FIELDS: Final = frozenset({*SOURCE_FIELDS, "script.framework", "script.entry_point", "script.added"})


def script_context(
    actor: Actor,
    form: TrainingJobForm,
    errors: Mapping[str, str],
    gone: Mapping[str, str],
    wrong_line: tuple[str, int] | None = None,
) -> dict[str, Any]:
    """The part of the page's context that a script has. Puts the paths of its files and its entry point to the form.

    Args:
        errors: Messages by field.
        gone: By channel, that its dataset is no longer there.
        wrong_line: The file and line that the compiler refused.
    """
    script = form.script or ScriptForm()
    stored: dict[str, bytes] = {}
    with suppress(NotFound):
        stored = stored_files(actor, script)
    if not stored:
        script.source = ""
    files = script_files(stored, script.files, script.removed)
    script.paths = [one.path for one in files]
    script.edited = script.edited or any(one.fresh or one.changed for one in files) or bool(script.removed)
    if not script.entry_point:
        script.entry_point = entry_point_of(script.paths)
    choices = entry_points(script.paths)
    return {
        "script": script,
        "script_files": files,
        "entry_points": choices
        if script.entry_point in choices
        else [*choices, script.entry_point]
        if files
        else [],
        "frameworks": list(FRAMEWORKS.values()),
        "examples": example_list(),
        "source_errors": [_source_error(name, errors[name]) for name in errors if about_source(name)],
        "framework_error": errors.get("script.framework", ""),
        "entry_point_error": errors.get("script.entry_point", ""),
        "wrong_line": wrong_line,
        "added_error": errors.get("script.added", ""),
        "hyperparameter_rows": _hyperparameter_rows(form, errors),
        "channel_rows": _channel_rows(form, errors, gone),
        "channels_suggested": CHANNELS_SUGGESTED,
    }


def wrong_line_of(error: PlatformError | None) -> tuple[str, int] | None:
    """The file and line in which an entry point has a syntax error, before the message is translated."""
    for one in error.errors if error else ():
        params = one.message.params if isinstance(one.message, Text) else {}
        if one.field == "script.entry_point" and str(params.get("line", "")).isdecimal() and "file" in params:
            return str(params["file"]), int(params["line"])
    return None


def about_source(name: str) -> bool:
    """Whether a field of an error is about the files."""
    return name in SOURCE_FIELDS or name.startswith(FILE_FIELDS)


def _source_error(name: str, message: str) -> str:
    """A file that is refused has to be named, the files as a whole have not."""
    prefix = next((one for one in FILE_FIELDS if name.startswith(one)), "")
    return f"{name.removeprefix(prefix)}: {message}" if prefix else message


def _hyperparameter_rows(form: TrainingJobForm, errors: Mapping[str, str]) -> list[dict[str, str]]:
    rows = [
        {"name": name, "value": value, "problem": errors.get(f"hyperparameters.{name}", "")}
        for name, value in form.hyperparameters.items()
    ]
    return rows or [{"name": "", "value": "", "problem": ""}]


def _channel_rows(
    form: TrainingJobForm, errors: Mapping[str, str], gone: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The channels that are filled in, then the usual ones for which nothing is chosen yet."""
    rows = [
        {"name": name, **values, "problem": _problem(errors, name) or gone.get(name, "")}
        for name, values in form.channels.items()
    ]
    usual = [name for name in CHANNELS_SUGGESTED if name not in form.channels][: max(0, 2 - len(rows))]
    return rows + [{"name": name, "problem": _problem(errors, name)} for name in usual]


def _problem(errors: Mapping[str, str], channel: str) -> str:
    prefix = f"channels.{channel}"
    return " ".join(
        message for name, message in errors.items() if name == prefix or name.startswith(f"{prefix}.")
    )
