"""Checks of the plain parts of a training job's request: hyperparameters as text, environment, tags, limits.

Each returns what is to be stored and appends what is wrong to `errors`, so that a request is answered with
all of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from mlplatform.core.errors import FieldError
from mlplatform.core.text import text as _

HYPERPARAMETER_NAME_MAX: Final = 256
HYPERPARAMETER_MAX: Final = 2500
ENVIRONMENT_MAX: Final = 100
ENVIRONMENT_VALUE_MAX: Final = 512
TAGS_MAX: Final = 50
RUNTIME_MAX_S: Final = 28 * 24 * 3600
_ENVIRONMENT_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,511}\Z")
_RESERVED: Final = re.compile(
    r"(?:LD_|DYLD_|PYTHON|MLPLATFORM_|DJANGO_|SM_|AWS_|TRAINING_JOB_|OMP_|OPENBLAS_|MKL_)"
    r"|(?:PATH|HOME|TMPDIR|LANG|SHELL|USER|IFS|BASH_ENV|ENV|GCONV_PATH|LOCPATH|NLSPATH|GLIBC_TUNABLES)\Z"
)


def hyperparameters_as_text(
    given: Mapping[str, Any], errors: list[FieldError], *, as_json: bool = False
) -> dict[str, str]:
    """Every value as the text the service would get: `true`, `5`, `0.1`.

    Args:
        as_json: Whether lists and mappings are taken too, as a script may have them.
    """
    texts: dict[str, str] = {}
    for name, value in given.items():
        if as_json and not _named(name, value, errors):
            continue
        if isinstance(value, bool):
            texts[name] = "true" if value else "false"
        elif as_json and isinstance(value, list | dict):
            texts[name] = json.dumps(value, ensure_ascii=False)
        elif isinstance(value, str | int | float):
            texts[name] = str(value)
        elif value is not None:
            kind = type(value).__name__
            message = _("is a {kind}; use text or a number", kind=kind)
            errors.append(FieldError(f"hyperparameters.{name[:80]}", message))
    return texts


def _named(name: str, value: Any, errors: list[FieldError]) -> bool:
    """Whether a script can get a hyperparameter of this name and value as words of its command line."""
    reason = ""
    if not 0 < len(name) <= HYPERPARAMETER_NAME_MAX or not name.isprintable() or "=" in name:
        reason = _("is not a hyperparameter's name; use 1 to {n} characters", n=HYPERPARAMETER_NAME_MAX)
    elif isinstance(value, str) and (len(value) > HYPERPARAMETER_MAX or "\0" in value):
        reason = _("has a value that is not accepted; use at most {n} characters", n=HYPERPARAMETER_MAX)
    if reason:
        errors.append(FieldError(f"hyperparameters.{name[:80]}", reason))
    return not reason


def environment_check(given: Mapping[str, Any], errors: list[FieldError]) -> dict[str, str]:
    if len(given) > ENVIRONMENT_MAX:
        message = _("has {n} variables; use at most {limit}", n=len(given), limit=ENVIRONMENT_MAX)
        errors.append(FieldError("environment", message))
        return {}
    for name, value in given.items():
        reason = _variable_refusal(name, value)
        if reason:
            errors.append(FieldError(f"environment.{name[:80]}", reason))
    return {name: str(value) for name, value in given.items()}


def tags_check(given: Mapping[str, Any], errors: list[FieldError]) -> dict[str, str]:
    if len(given) > TAGS_MAX:
        message = _("has {n} tags; use at most {limit}", n=len(given), limit=TAGS_MAX)
        errors.append(FieldError("tags", message))
        return {}
    for name, value in given.items():
        if not 0 < len(name) <= 128 or not name.isprintable():
            errors.append(
                FieldError(f"tags.{name[:40]}", _("is not a tag name; use 1 to 128 printable characters"))
            )
        if not isinstance(value, str) or len(value) > 256 or not (value.isprintable() or not value):
            message = _("has a value that is not accepted; use text of at most 256 printable characters")
            errors.append(FieldError(f"tags.{name[:40]}", message))
    return {name: str(value) for name, value in given.items()}


def whole_number_check(field: str, value: Any, low: int, high: int | None, errors: list[FieldError]) -> None:
    """A whole number from `low` to `high`; None for no end."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and low <= value and (high is None or value <= high):
        return
    shown = str(value)[:40]
    message = (
        _("{value} is not accepted; use whole numbers from {low}", value=shown, low=low)
        if high is None
        else _(
            "{value} is not accepted; use whole numbers from {low} to {high}",
            value=shown,
            low=low,
            high=f"{high:,}",
        )
    )
    errors.append(FieldError(field, message))


def runtime_check(max_runtime_s: Any, errors: list[FieldError]) -> int:
    whole = isinstance(max_runtime_s, int) and not isinstance(max_runtime_s, bool)
    if not whole or not 1 <= max_runtime_s <= RUNTIME_MAX_S:
        message = _(
            "{value} is not accepted; use whole seconds from 1 to {limit} (28 days)",
            value=str(max_runtime_s)[:40],
            limit=f"{RUNTIME_MAX_S:,}",
        )
        errors.append(FieldError("max_runtime_s", message))
        return 0
    return int(max_runtime_s)


def instance_count_check(instance_count: Any, errors: list[FieldError]) -> int:
    if instance_count != 1 or isinstance(instance_count, bool):
        message = _("{value} is not accepted; a job runs on 1 instance", value=str(instance_count)[:40])
        errors.append(FieldError("instance_count", message))
    return 1


def _variable_refusal(name: str, value: Any) -> str:
    if not _ENVIRONMENT_NAME.match(name):
        return _("is not a variable name; use letters, digits and underscores, not beginning with a digit")
    if _RESERVED.match(name):
        return _("is set by the platform; use another name")
    if not isinstance(value, str) or len(value) > ENVIRONMENT_VALUE_MAX or "\0" in value:
        return _(
            "has a value that is not accepted; use text of at most {n} characters", n=ENVIRONMENT_VALUE_MAX
        )
    return ""
