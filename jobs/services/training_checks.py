"""Checks of a training job's request that need more than the request: the algorithm, its channels, what a script's own
request says. Each adds what is wrong to a list, so that all of it is said at once. Called by `jobs.services.training`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from jobs.algorithms.base import AlgorithmSpec, DataFacts
from jobs.algorithms.registry import algorithm_get
from jobs.services.channels import ChannelRequest, ResolvedChannel, channels_resolve
from jobs.services.request_checks import hyperparameters_as_text
from jobs.services.scripts import ScriptRequest, script_of_hyperparameters
from mlplatform.core import clock, names
from mlplatform.core.errors import FieldError, InvalidRequest, NotFound
from mlplatform.core.models import Project
from mlplatform.core.people.access import Actor

T = TypeVar("T")


def script_said(
    actor: Actor, algorithm: str, hyperparameters: Mapping[str, Any], errors: list[FieldError]
) -> tuple[ScriptRequest | None, Mapping[str, Any]]:
    """What a request in the SDK's own form says of its script, and its other hyperparameters."""
    found = collect(
        errors,
        lambda: script_of_hyperparameters(actor=actor, algorithm=algorithm, hyperparameters=hyperparameters),
    )
    return found or (None, hyperparameters)


def name_or_new(name: str | None, algorithm: str, errors: list[FieldError]) -> str:
    """The name, checked; without one, a name made of the algorithm and the time."""
    if not name:
        stem = "".join(letter for letter in algorithm if letter.isascii() and letter.isalnum()) or "job"
        return names.name_with_time(stem, clock.now())
    collect(errors, lambda: names.name_check(name))
    return name


def algorithm_of(name: str) -> AlgorithmSpec:
    """Raises InvalidRequest for one that is not known."""
    try:
        return algorithm_get(name)
    except NotFound as error:
        raise InvalidRequest.for_field("algorithm", error.message) from None


def channels_check(
    project: Project,
    spec: AlgorithmSpec | None,
    requests: Mapping[str, ChannelRequest],
    errors: list[FieldError],
) -> dict[str, ResolvedChannel]:
    """What the channels read; none where nobody knows which there may be."""
    if spec is None:
        return {}
    resolved, wrong = channels_resolve(project=project, spec=spec, requests=requests)
    errors += wrong
    return resolved


def hyperparameters_check(
    spec: AlgorithmSpec | None,
    given: Mapping[str, Any],
    resolved: Mapping[str, ResolvedChannel],
    errors: list[FieldError],
) -> dict[str, str]:
    """The hyperparameters as texts. What is wrong with one of them is said once."""
    texts = hyperparameters_as_text(given, errors, as_json=spec is not None and spec.is_open)
    facts = resolved["train"].facts if "train" in resolved else DataFacts()
    said = {error.field for error in errors}
    wrong: list[FieldError] = []
    if spec is not None:
        collect(wrong, lambda: spec.validate(texts, facts))
    errors += [error for error in wrong if error.field not in said]
    return texts


def collect(errors: list[FieldError], check: Callable[[], T]) -> T | None:
    """The result of `check`, or None with its complaints added to `errors`."""
    try:
        return check()
    except InvalidRequest as error:
        errors += error.errors
        return None
