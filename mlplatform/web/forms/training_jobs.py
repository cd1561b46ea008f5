"""The new-job form: what was posted ⇄ the create request of the service, whose rules are not repeated here.

The same request, as JSON, is what "Show API call" displays.
"""

from __future__ import annotations

import json
import shlex
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from jobs.algorithms.registry import SCRIPT
from jobs.services.channels import ChannelRequest
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest, PlatformError
from mlplatform.web.forms.script_calls import script_calls
from mlplatform.web.forms.scripts import ScriptForm, channel_rows, hyperparameter_rows, rows_given_twice

MAX_METRIC_ROWS = 40
_PREFIX = "hp."
_CHANNEL_PARTS = frozenset({"dataset", "uri", "input_mode", "content_type"})


@dataclass
class TrainingJobForm:
    """One job as a person fills it in; every value is text until the service has checked it."""

    name: str = ""
    algorithm: str = ""
    hyperparameters: dict[str, str] = field(default_factory=dict)
    channels: dict[str, dict[str, str]] = field(default_factory=dict)
    instance_type: str = "local.cpu"
    max_runtime_s: str = "86400"
    metric_definitions: list[dict[str, str]] = field(default_factory=list)
    environment: str = ""
    tags: str = ""
    cloned_from: str = ""
    script: ScriptForm | None = None
    given_twice: list[FieldError] = field(default_factory=list)

    @classmethod
    def from_post(cls, post: QueryDict) -> TrainingJobForm:
        is_script = post.get("algorithm") == SCRIPT
        return cls(
            name=folded(post.get("name", "")),
            algorithm=post.get("algorithm", ""),
            hyperparameters=hyperparameter_rows(post) if is_script else hyperparameters_given(post),
            channels=_channels_of_either(post, rows_first=is_script),
            script=ScriptForm.from_post(post) if is_script else None,
            given_twice=rows_given_twice(post) if is_script else [],
            instance_type=post.get("instance_type", ""),
            max_runtime_s=folded(post.get("max_runtime_s", "")),
            metric_definitions=metric_definitions_given(post),
            environment=post.get("environment", ""),
            tags=post.get("tags", ""),
            cloned_from=post.get("cloned_from", ""),
        )

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> TrainingJobForm:
        """The form filled with a create request, as `training_job_clone_request` makes it."""
        return cls(
            name=str(request.get("name") or ""),
            algorithm=str(request["algorithm"]),
            hyperparameters={name: str(value) for name, value in request.get("hyperparameters", {}).items()},
            channels={
                name: {
                    "dataset": channel.get("dataset") or "",
                    "uri": channel.get("uri") or "",
                    "input_mode": channel.get("input_mode") or "File",
                    "content_type": channel.get("content_type") or "" if channel.get("uri") else "",
                }
                for name, channel in request.get("channels", {}).items()
            },
            instance_type=str(request.get("instance_type", "local.cpu")),
            max_runtime_s=str(request.get("max_runtime_s", 86400)),
            metric_definitions=[dict(row) for row in request.get("metric_definitions", [])],
            environment=_pairs_text(request.get("environment", {})),
            tags=_pairs_text(request.get("tags", {})),
            cloned_from=str(request.get("cloned_from", "")),
            script=ScriptForm.from_request(request) if request["algorithm"] == SCRIPT else None,
        )

    def as_request(self) -> dict[str, Any]:
        """The JSON body of `POST …/training-jobs/`. Raises InvalidRequest for text that is no pair list."""
        body: dict[str, Any] = {
            "name": self.name,
            "algorithm": self.algorithm,
            "hyperparameters": self.hyperparameters,
            "channels": self._channels(),
            "instance_type": self.instance_type,
            "max_runtime_s": _whole_number("max_runtime_s", self.max_runtime_s),
        }
        optional = {
            "metric_definitions": self.metric_definitions,
            "environment": _pairs("environment", self.environment),
            "tags": _pairs("tags", self.tags),
        }
        if not self.name:
            del body["name"]
        if self.script is not None:
            body = {**body, "script": self.script.as_request()}
            del body["algorithm"]
        return body | {name: value for name, value in optional.items() if value}

    def service_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `training_job_create`, which also says what is wrong with text that is no number.

        Raises InvalidRequest where two rows have one name.
        """
        if self.given_twice:
            raise InvalidRequest.for_fields(self.given_twice)
        environment, tags = _pairs_given(self.environment), _pairs_given(self.tags)
        runtime: Any = int(self.max_runtime_s) if self.max_runtime_s.isdecimal() else self.max_runtime_s
        return {
            "name": self.name or None,
            "algorithm": self.algorithm,
            "hyperparameters": self.hyperparameters,
            "channels": {name: ChannelRequest(**parts) for name, parts in self._channels().items()},
            "instance_type": self.instance_type,
            "max_runtime_s": runtime,
            "metric_definitions": self.metric_definitions,
            "environment": environment,
            "tags": tags,
            "cloned_from": self.cloned_from,
            **({"script": self.script.service_request()} if self.script is not None else {}),
        }

    def _channels(self) -> dict[str, dict[str, str]]:
        return {
            name: {key: value for key, value in channel.items() if value}
            for name, channel in self.channels.items()
        }

    def api_call(self, *, base_url: str, project: str) -> str:
        """The same job as a curl command."""
        try:
            body = self.as_request()
        except InvalidRequest as error:
            return f"# {error.message}"
        if self.script is not None:
            return script_calls(body, self.script, base_url=base_url, project=project)
        text = json.dumps(body, indent=2, ensure_ascii=False)
        return (
            f"curl -X POST {base_url}/api/v1/projects/{project}/training-jobs/ \\\n"
            '  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
            f"  -d {shlex.quote(text)}"
        )


def hyperparameters_given(query: QueryDict) -> dict[str, str]:
    """The fields `hp.k` and so on that have a value, of a posted form or of the address that one is opened by."""
    return {
        key.removeprefix(_PREFIX): folded(value)
        for key, value in query.items()
        if isinstance(value, str) and key.startswith(_PREFIX) and value.strip()
    }


def folded(text: str) -> str:
    """What was typed with full-width letters and digits as plain ones: `１０` → `10`."""
    return unicodedata.normalize("NFKC", text).strip()


def metric_definitions_given(post: QueryDict) -> list[dict[str, str]]:
    """The rows of metric definitions of a posted form that are filled in."""
    rows = zip(post.getlist("metric.name"), post.getlist("metric.regex"), strict=False)
    filled = [{"name": name.strip(), "regex": regex} for name, regex in rows if name.strip() or regex.strip()]
    return filled[: MAX_METRIC_ROWS + 1]  # one too many is refused by the service, with the limit


def errors_of_new(error: PlatformError | None) -> dict[str, str]:
    """The messages of a refused creation by field; a conflict that names no field is about the name."""
    if error is None:
        return {}
    if isinstance(error, Conflict) and not error.errors:
        return {"name": error.message}
    return errors_by_field(error.errors)


def errors_by_field(errors: tuple[FieldError, ...]) -> dict[str, str]:
    """The first message of each form field, by its dotted path."""
    found: dict[str, str] = {}
    for error in errors:
        found.setdefault(error.field, error.message)
    return found


def _channels_of_either(post: QueryDict, *, rows_first: bool) -> dict[str, dict[str, str]]:
    """The channels of a posted form; what was chosen before another algorithm was is in fields of the other kind."""
    rows, declared = channel_rows(post), _channels(post)
    return rows or declared if rows_first else declared or rows


def _channels(post: QueryDict) -> dict[str, dict[str, str]]:
    channels: dict[str, dict[str, str]] = {}
    for key, value in post.items():
        kind, _, rest = key.partition(".")
        name, _, attribute = rest.partition(".")
        if kind == "channel" and attribute in _CHANNEL_PARTS and isinstance(value, str):
            channels.setdefault(name, {})[attribute] = value.strip()
    return {
        name: channel for name, channel in channels.items() if channel.get("dataset") or channel.get("uri")
    }


def _whole_number(field_name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidRequest.for_field(
            field_name, f"{text[:40]!r} is not a whole number of seconds"
        ) from None


def _pairs(field_name: str, text: str) -> dict[str, str]:
    """NAME=value lines. Raises InvalidRequest for a line that is none."""
    pairs = _pairs_given(text)
    for name, value in pairs.items():
        if value is None:
            raise InvalidRequest.for_field(field_name, f"{name[:60]!r} is not of the form NAME=value")
    return {name: value for name, value in pairs.items() if value is not None}


def _pairs_given(text: str) -> dict[str, str | None]:
    """NAME=value lines; a line without an equals sign is a name without a value, which the service refuses."""
    pairs: dict[str, str | None] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if line.strip():
            pairs[name.strip()] = value.strip() if equals else None
    return pairs


def _pairs_text(pairs: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}={value}" for name, value in pairs.items())
