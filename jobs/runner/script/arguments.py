"""Hyperparameters as a script gets them: decoded, split, and as words of a command line. Django-free, pure.

The rules are those of the service's training toolkit, so that a script written for it sees no difference: values are
JSON where they can be read as JSON; names of the platform are kept from the script; a name of one letter has one dash;
what is no text becomes Python's own text of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

PROGRAM: Final = "sagemaker_program"
SUBMIT_DIRECTORY: Final = "sagemaker_submit_directory"
LOG_LEVEL: Final = "sagemaker_container_log_level"
ANNOUNCED: Final = "Invoking script with the following command:"
"""Printed before the command itself, as the service does."""
_RESERVED_PREFIX: Final = "sagemaker_"
_RESERVED: Final = frozenset({"_tuning_objective_metric"})


def hyperparameters_decoded(texts: Mapping[str, str]) -> dict[str, Any]:
    """The values as JSON says; what is no JSON stays the text that it is."""
    return {name: _decoded(text) for name, text in texts.items()}


def hyperparameters_split(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of the script, and those that are the platform's affair."""
    reserved = {name: value for name, value in values.items() if is_reserved(name)}
    return {name: value for name, value in values.items() if name not in reserved}, reserved


def is_reserved(name: str) -> bool:
    return name.startswith(_RESERVED_PREFIX) or name in _RESERVED


def command_line(values: Mapping[str, Any]) -> list[str]:
    """`--name value` for each, in the order of the names."""
    return [word for name in sorted(values) for word in (_flag(name), argument(values[name]))]


def argument(value: Any) -> str:
    """One value as a word: `k=v,k=v` of a mapping, `True` and `[1, 2]` as Python has them."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={item}" for name, item in sorted(value.items()))
    return str(value)


def reserved_of_request(
    *, entry_point: str, source_uri: str, job_name: str, region: str, given: Mapping[str, str]
) -> dict[str, str]:
    """What the SDK adds to the hyperparameters of a script's job, each value as JSON; what was given stays."""
    added = {
        PROGRAM: entry_point,
        SUBMIT_DIRECTORY: source_uri,
        "sagemaker_job_name": job_name,
        "sagemaker_region": region,
        LOG_LEVEL: 20,
    }
    return {name: json.dumps(value) for name, value in added.items()} | dict(given)


def _flag(name: str) -> str:
    if not name:
        return ""
    return f"--{name}" if len(name) > 1 else f"-{name}"


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return text
