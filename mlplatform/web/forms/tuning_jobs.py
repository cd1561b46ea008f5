"""The form of a new tuning job: what was posted ⇄ the create request of the service, whose rules are not repeated here.

The same request, as JSON, is what "The same by REST" displays.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import QueryDict

from jobs.algorithms.registry import SCRIPT
from jobs.services.channels import ChannelRequest
from jobs.services.scripts import ScriptRequest
from jobs.services.tuning import TuningRequest
from mlplatform.core.errors import FieldError
from mlplatform.core.text import text as _
from mlplatform.web.forms.scripts import ScriptForm
from mlplatform.web.forms.training_jobs import TrainingJobForm, folded
from mlplatform.web.forms.tuning_rows import (
    ParameterRow,
    decimal,
    fixed_of,
    ranges_of,
    rows_of,
    rows_posted,
    whole,
)

_TEXTS: Final = (
    "name",
    "algorithm",
    "strategy",
    "objective_metric",
    "objective_type",
    "max_jobs",
    "max_parallel_jobs",
    "max_runtime_s",
    "early_stopping",
    "min_resource",
    "max_resource",
    "reduction_factor",
    "resource",
    "target_value",
    "max_jobs_not_improving",
    "random_seed",
    "warm_type",
    "instance_type",
    "job_max_runtime_s",
)
_NO_VALUE: Final[tuple[Any, ...]] = (None, "", [], {})


@dataclass
class TuningJobForm:
    """A tuning job as a person fills it in: texts until they are checked."""

    name: str = ""
    description: str = ""
    algorithm: str = ""
    script: ScriptForm | None = None
    objective_metric: str = ""
    objective_type: str = ""
    strategy: str = "Bayesian"
    rows: list[ParameterRow] = field(default_factory=list)
    max_jobs: str = "10"
    max_parallel_jobs: str = "2"
    max_runtime_s: str = ""
    early_stopping: str = "Off"
    min_resource: str = ""
    max_resource: str = ""
    reduction_factor: str = ""
    resource: str = ""
    target_value: str = ""
    max_jobs_not_improving: str = ""
    on_convergence: bool = False
    random_seed: str = ""
    warm_type: str = ""
    warm_parents: list[str] = field(default_factory=list)
    channels: dict[str, dict[str, str]] = field(default_factory=dict)
    metric_definitions: list[dict[str, str]] = field(default_factory=list)
    instance_type: str = "local.cpu"
    job_max_runtime_s: str = "86400"
    environment: str = ""
    tags: str = ""

    @classmethod
    def from_post(cls, post: QueryDict) -> TuningJobForm:
        training = TrainingJobForm.from_post(post)
        is_script = post.get("algorithm") == SCRIPT
        form = cls(
            **{name: folded(post.get(name, "")) for name in _TEXTS},
            script=ScriptForm.from_post(post) if is_script else None,
            rows=rows_posted(post),
            channels=training.channels,
            on_convergence=post.get("on_convergence") == "1",
            warm_parents=[name for name in post.getlist("warm_parents") if name],
            metric_definitions=training.metric_definitions,
            environment=training.environment,
            tags=training.tags,
        )
        form.description = post.get("description", "").strip()
        return form

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> TuningJobForm:
        """Filled with a create request, as `tuning_job_clone_request` makes it."""
        hyperband, completion = request.get("hyperband") or {}, request.get("completion") or {}
        warm = request.get("warm_start") or {}
        form = cls._of_training({**request, "max_runtime_s": request.get("job_max_runtime_s", 86400)})
        form.description = str(request.get("description") or "")
        form.rows = rows_of(request.get("static_hyperparameters") or {}, request.get("ranges") or ())
        for name in ("objective_metric", "objective_type", "strategy", "early_stopping"):
            setattr(form, name, str(request.get(name) or getattr(form, name)))
        for name in ("max_jobs", "max_parallel_jobs", "max_runtime_s", "random_seed"):
            setattr(form, name, _shown(request.get(name)))
        for name in ("min_resource", "max_resource", "reduction_factor", "resource"):
            setattr(form, name, _shown(hyperband.get(name)))
        form.target_value = _shown(completion.get("target_value"))
        form.max_jobs_not_improving = _shown(completion.get("max_jobs_not_improving"))
        form.on_convergence = bool(completion.get("on_convergence"))
        form.warm_type, form.warm_parents = str(warm.get("type") or ""), list(warm.get("parents") or ())
        return form

    @classmethod
    def from_training_request(cls, request: Mapping[str, Any]) -> TuningJobForm:
        """Filled with a training job's request: what it was told is fixed until somebody makes a range of it."""
        form = cls._of_training(request)
        form.rows = rows_of(request.get("hyperparameters") or {}, ())
        return form

    @classmethod
    def _of_training(cls, request: Mapping[str, Any]) -> TuningJobForm:
        script = request.get("script")
        training = TrainingJobForm.from_request(
            {**request, "algorithm": SCRIPT if script else request["algorithm"]}
        )
        return cls(
            algorithm=training.algorithm,
            script=ScriptForm.from_request(request) if training.algorithm == SCRIPT else None,
            channels=training.channels,
            instance_type=training.instance_type,
            job_max_runtime_s=training.max_runtime_s,
            metric_definitions=training.metric_definitions,
            environment=training.environment,
            tags=training.tags,
        )

    @property
    def is_script(self) -> bool:
        return self.algorithm == SCRIPT

    @property
    def ranges(self) -> list[ParameterRow]:
        return [row for row in self.rows if row.is_range]

    def request(self) -> TuningRequest:
        """What `tuning_job_create` takes; `wrong` has what is no number."""
        errors: list[FieldError] = []
        body = self._body(errors)
        channels = {name: ChannelRequest(**parts) for name, parts in body.pop("channels").items()}
        script = body.pop("script", None)
        return TuningRequest(
            **body,
            channels=channels,
            script=ScriptRequest(**script) if script else None,
            wrong=tuple(errors),
        )

    def api_call(self, *, base_url: str, project: str) -> str:
        """The same tuning job as a curl command."""
        body = {name: value for name, value in self._body([]).items() if value not in _NO_VALUE}
        if self.is_script:
            body.pop("algorithm", None)
        return (
            f"curl -X POST {base_url}/api/v1/projects/{project}/tuning-jobs/ \\\n"
            '  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
            f"  -d {shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))}"
        )

    def _body(self, errors: list[FieldError]) -> dict[str, Any]:
        return {
            "name": self.name or None,
            "description": self.description,
            "algorithm": self.algorithm,
            "script": self.script.as_request() if self.script is not None else None,
            "strategy": self.strategy,
            "objective_metric": self.objective_metric,
            "objective_type": self.objective_type,
            "ranges": ranges_of(self.rows, errors),
            "static_hyperparameters": fixed_of(self._said(), errors),
            **self._limits(errors),
            "hyperband": self._hyperband(errors),
            "completion": self._completion(errors),
            "warm_start": self._warm_start(),
            "channels": {
                name: {key: value for key, value in channel.items() if value}
                for name, channel in self.channels.items()
            },
            "metric_definitions": self.metric_definitions,
            "instance_type": self.instance_type,
            "environment": _pairs("environment", self.environment, errors),
            "tags": _pairs("tags", self.tags, errors),
        }

    def _said(self) -> list[ParameterRow]:
        """The rows but for the one value of what Hyperband itself sets."""
        resource = self.resource if self.strategy == "Hyperband" else ""
        return [row for row in self.rows if row.is_range or not resource or row.name != resource]

    def _limits(self, errors: list[FieldError]) -> dict[str, Any]:
        return {
            "max_jobs": _optional("max_jobs", self.max_jobs, errors),
            "max_parallel_jobs": whole("max_parallel_jobs", self.max_parallel_jobs, errors),
            "max_runtime_s": _optional("max_runtime_s", self.max_runtime_s, errors),
            "job_max_runtime_s": whole("job_max_runtime_s", self.job_max_runtime_s, errors),
            "random_seed": _optional("random_seed", self.random_seed, errors),
            "early_stopping": self.early_stopping or "Off",
        }

    def _hyperband(self, errors: list[FieldError]) -> dict[str, Any] | None:
        """Of the strategy that has it; of others what was typed is not sent."""
        if self.strategy != "Hyperband":
            return None
        found: dict[str, Any] = {
            name: whole(f"hyperband.{name}", text, errors)
            for name in ("min_resource", "max_resource", "reduction_factor")
            if (text := getattr(self, name))
        }
        return found | ({"resource": self.resource} if self.resource else {})

    def _completion(self, errors: list[FieldError]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.target_value:
            found["target_value"] = decimal("completion.target_value", self.target_value, errors)
        if self.max_jobs_not_improving:
            place = "completion.max_jobs_not_improving"
            found["max_jobs_not_improving"] = whole(place, self.max_jobs_not_improving, errors)
        return found | ({"on_convergence": True} if self.on_convergence else {})

    def _warm_start(self) -> dict[str, Any] | None:
        return {"type": self.warm_type, "parents": self.warm_parents} if self.warm_type else None


def _optional(name: str, text: str, errors: list[FieldError]) -> Any:
    return whole(name, text, errors) if text else None


def _pairs(field_name: str, text: str, errors: list[FieldError]) -> dict[str, str]:
    """NAME=value lines."""
    pairs: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        name, equals, value = line.partition("=")
        if not equals:
            message = _("{value} is not of the form NAME=value", value=repr(line.strip()[:60]))
            errors.append(FieldError(field_name, message))
        else:
            pairs[name.strip()] = value.strip()
    return pairs


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)
