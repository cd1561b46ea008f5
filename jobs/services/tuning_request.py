"""A tuning job as asked for. What can be wrong with it says `tuning_checks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobs.services.channels import ChannelRequest
from mlplatform.core.errors import FieldError

if TYPE_CHECKING:
    from jobs.services.scripts import ScriptRequest


@dataclass(frozen=True, kw_only=True)
class TuningRequest:
    """A tuning job as asked for.

    Args:
        name: Unique in the project, at most 32 characters; None or empty for one made of the time.
        strategy: Bayesian, Random, Grid or Hyperband.
        objective_metric, objective_type: The metric whose last value is to be Minimized or Maximized.
        ranges: [{"name", "type": "Integer" | "Continuous" | "Categorical", "min", "max", "scaling": "Auto" | "Linear" |
            "Logarithmic" | "ReverseLogarithmic", "step", "values"}].
        max_jobs: None for the whole grid, or until another limit or criterion ends it.
        hyperband: {"min_resource", "max_resource", "reduction_factor", "resource"}; None for other strategies.
        completion: {"target_value", "max_jobs_not_improving", "on_convergence"}, each of which may be left out.
        random_seed: None for one that is drawn and kept.
        warm_start: {"type": "IdenticalDataAndAlgorithm" | "TransferLearning", "parents": [names]}, or None.
        wrong: What a form has found that is no number or no pair: told with all else that is wrong; nothing is made.
    """

    name: str | None = None
    description: str = ""
    strategy: str = "Bayesian"
    objective_metric: str
    objective_type: str
    ranges: Sequence[Mapping[str, Any]]
    max_jobs: int | None = None
    max_parallel_jobs: int = 1
    max_runtime_s: int | None = None
    early_stopping: str = "Off"
    hyperband: Mapping[str, Any] | None = None
    completion: Mapping[str, Any] = field(default_factory=dict)
    random_seed: int | None = None
    warm_start: Mapping[str, Any] | None = None
    algorithm: str
    script: ScriptRequest | None = None
    static_hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    channels: Mapping[str, ChannelRequest]
    metric_definitions: Sequence[Mapping[str, Any]] = ()
    instance_type: str = "local.cpu"
    instance_count: int = 1
    job_max_runtime_s: int = 86400
    environment: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)
    wrong: Sequence[FieldError] = ()
