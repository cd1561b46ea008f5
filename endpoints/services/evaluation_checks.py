"""What a request for an evaluation can be wrong about, all of it at once. Not what becomes of it (`evaluations`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from endpoints.models import Endpoint, ProductionVariant
from endpoints.selectors.endpoints import endpoint_get
from endpoints.services.evaluation_facts import evaluation_facts, has_k, predicts_no_label
from endpoints.services.evaluation_labels import labels_complaint
from jobs.algorithms.registry import SCRIPT
from jobs.models import DatasetVersion
from jobs.selectors.datasets import dataset_version_get
from jobs.services.request_checks import tags_check, whole_number_check
from mlplatform.core import clock
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest, NotFound
from mlplatform.core.names import name_after, name_check
from mlplatform.core.people.access import Actor
from mlplatform.core.status import EndpointStatus
from mlplatform.core.text import text as _

BATCHES_MAX: Final = 10_000
SINGLE_REQUESTS_MAX: Final = 100_000
ANSWERS: Final = frozenset({EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING, EndpointStatus.ROLLING_BACK})
"""Statuses of an endpoint in which its live configuration answers."""
_REMEDIES: Final[Mapping[str, str]] = {
    EndpointStatus.CREATING: _("wait until it is InService"),
    EndpointStatus.FAILED: _("update it to a model that works, or choose another endpoint"),
    EndpointStatus.DELETING: _("choose another endpoint"),
}
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A request that can be carried out."""

    name: str
    endpoint: Endpoint
    variant: ProductionVariant
    version: DatasetVersion
    facts: dict[str, Any]
    k_max: int | None
    batches: int
    single_requests: int
    tags: dict[str, str]


def evaluation_check(
    *,
    actor: Actor,
    name: str | None,
    endpoint: str,
    dataset: str,
    variant: str,
    k_max: int | None,
    batches: int,
    single_requests: int,
    tags: Mapping[str, Any],
) -> Checked:
    """The request with all that it refers to. Called inside the transaction that carries it out.

    Raises:
        InvalidRequest: with every field that is wrong.
        Conflict: the endpoint does not answer now; what to do about it is said.
    """
    errors: list[FieldError] = []
    chosen_name = _name(name, endpoint, errors)
    found = _endpoint(actor, endpoint, errors)
    version = _version(actor, dataset, errors)
    whole_number_check("batches", batches, 1, BATCHES_MAX, errors)
    whole_number_check("single_requests", single_requests, 0, SINGLE_REQUESTS_MAX, errors)
    checked_tags = tags_check(tags, errors)
    chosen = _variant(found, variant, errors) if found and _answers(found) else None
    facts = evaluation_facts(variant=chosen) if chosen else {}
    if chosen is not None and predicts_no_label(chosen.model.algorithm):
        errors.append(FieldError("endpoint", _no_label(chosen.model.algorithm)))
    elif chosen is not None and _is_unknown(chosen, facts):
        errors.append(FieldError("endpoint", _unknown_label(chosen.model.name)))
    elif chosen is not None:
        _k_max(k_max, chosen, facts, errors)
        if version is not None:
            _dataset(version, chosen, errors)
    elif k_max is not None:
        whole_number_check("k_max", k_max, 1, None, errors)
    if errors:
        raise InvalidRequest.for_fields(errors)
    assert found is not None and version is not None
    if chosen is None:
        raise _not_answering(found)
    return Checked(
        name=chosen_name,
        endpoint=found,
        variant=chosen,
        version=version,
        facts=facts,
        k_max=k_max,
        batches=batches,
        single_requests=single_requests,
        tags=checked_tags,
    )


def _name(name: str | None, endpoint: str, errors: list[FieldError]) -> str:
    if not name:
        return name_after(endpoint, clock.now(), otherwise="evaluation")
    _collect(errors, lambda: name_check(name))
    return name


def _endpoint(actor: Actor, name: str, errors: list[FieldError]) -> Endpoint | None:
    if not name:
        errors.append(FieldError("endpoint", _("choose an endpoint")))
        return None
    return _collect(errors, lambda: endpoint_get(actor=actor, name=name, locked=True), field="endpoint")


def _version(actor: Actor, reference: str, errors: list[FieldError]) -> DatasetVersion | None:
    if not reference:
        errors.append(FieldError("dataset", _("choose a dataset")))
        return None
    return _collect(
        errors, lambda: dataset_version_get(actor=actor, reference=reference[:80]), field="dataset"
    )


def _answers(endpoint: Endpoint) -> bool:
    return endpoint.status in ANSWERS and endpoint.live is not None


def _not_answering(endpoint: Endpoint) -> Conflict:
    remedy = _REMEDIES.get(endpoint.status, _REMEDIES[EndpointStatus.CREATING])
    return Conflict(
        _(
            "Endpoint “{name}” is {status} and cannot be measured: {remedy}",
            name=endpoint.name,
            status=str(endpoint.status),
            remedy=remedy,
        )
    )


def _variant(endpoint: Endpoint, name: str, errors: list[FieldError]) -> ProductionVariant | None:
    """The one asked for, or the only one: what several of them answer in turn would be the measure of none."""
    assert endpoint.live is not None
    variants = {variant.name: variant for variant in endpoint.live.variants.all()}
    known = ", ".join(variants)
    if name and name not in variants:
        message = _("“{name}” is not a variant of this endpoint; it has {known}", name=name[:63], known=known)
        errors.append(FieldError("variant", message))
        return None
    if not name and len(variants) > 1:
        message = _("this endpoint has the variants {known}; choose the one to measure", known=known)
        errors.append(FieldError("variant", message))
        return None
    return variants[name] if name else next(iter(variants.values()))


def _is_unknown(variant: ProductionVariant, facts: Mapping[str, Any]) -> bool:
    """Whether nobody knows what a script's model predicts."""
    known = facts["predictor_type"] in ("classifier", "regressor")
    return variant.model.algorithm == SCRIPT and not known


def _unknown_label(model: str) -> str:
    message: str = _(
        "nobody knows what the script of model “{model}” predicts: it was not made of a training job whose channel "
        "train is a dataset with a label; predict a dataset with it, or make the model of such a job",
        model=model,
    )
    return message


def _no_label(algorithm: str) -> str:
    message: str = _(
        "{algorithm} predicts no label that could be compared with those of a dataset; "
        "evaluate the endpoint of a classifier or a regressor",
        algorithm=algorithm,
    )
    return message


def _k_max(
    k_max: int | None, variant: ProductionVariant, facts: Mapping[str, Any], errors: list[FieldError]
) -> None:
    if k_max is None:
        return
    k, algorithm = facts["k"], variant.model.algorithm
    if not has_k(algorithm):
        message = _("{algorithm} has no k; leave k_max out", algorithm=algorithm)
        errors.append(FieldError("k_max", message))
    elif k is not None and k_max > k:
        message = _(
            "{k_max} exceeds the index's k {k}; use 1 to {k}, or train with a larger k", k_max=k_max, k=k
        )
        errors.append(FieldError("k_max", message))
    else:
        whole_number_check("k_max", k_max, 1, k, errors)


def _dataset(version: DatasetVersion, variant: ProductionVariant, errors: list[FieldError]) -> None:
    manifest = variant.model.manifest
    expected = manifest.get("n_features")
    n_features = version.n_columns - (version.schema.get("label") is not None)
    if expected is not None and n_features != expected:
        message = _(
            "it has {n} feature columns; the model “{model}” expects {expected}",
            n=n_features,
            model=variant.model.name,
            expected=expected,
        )
        errors.append(FieldError("dataset", message))
        return
    complaint = labels_complaint(schema=version.schema, columns=version.columns, manifest=manifest)
    if complaint:
        errors.append(FieldError("dataset", complaint))


def _collect(errors: list[FieldError], check: Callable[[], T], *, field: str = "") -> T | None:
    """The result of `check`, or None with its complaints added; what was not found is one of `field`."""
    try:
        return check()
    except InvalidRequest as error:
        errors += error.errors
    except NotFound as error:
        errors.append(FieldError(field, error.message))
    return None
