"""What an evaluation keeps of the model and machine that it measures, since both may be gone when it is looked at.

Read from the model's manifest; what an older one lacks, from the job that made it, as long as that is there.
"""

from __future__ import annotations

from typing import Any

from endpoints.models import Model, ProductionVariant
from jobs.algorithms.base import AlgorithmSpec
from jobs.algorithms.registry import ALGORITHMS, algorithm_get
from jobs.instance_types import instance_type_get
from jobs.pricing import Price
from jobs.selectors.prices import prices_now


def evaluation_facts(*, variant: ProductionVariant) -> dict[str, Any]:
    """`Evaluation.facts`, as docs/formats.md describes it; what is not known is None."""
    model = variant.model
    manifest = model.manifest
    texts = _hyperparameters(model)
    values = _values(model.algorithm, texts)
    price, vcpus = _price(variant)
    return {
        "algorithm": model.algorithm,
        "predictor_type": manifest.get("predictor_type") or _predictor_type(model.algorithm, texts),
        "hyperparameters": texts,
        "k": values.get("k"),
        "n_features": manifest.get("n_features"),
        "index_type": values.get("index_type"),
        "sample_size": values.get("sample_size"),
        "engine": manifest.get("engine"),
        "price_per_hour": float(price.per_hour),
        "currency": price.currency,
        "vcpus": vcpus,
    }


def _price(variant: ProductionVariant) -> tuple[Price, int | None]:
    """Of an hour, and how many vCPU it has; a serverless variant has the price of an hour of work, and no vCPU."""
    prices = prices_now()
    if variant.serverless_memory_mb is not None:
        return prices.of_memory(variant.serverless_memory_mb), None
    instance = instance_type_get(variant.instance_type)
    return prices.of(instance.name), instance.vcpus


def index_metric(*, model: Model) -> str | None:
    """What a k-NN model takes for near; None where that is not known."""
    found = _values(model.algorithm, _hyperparameters(model)).get("index_metric")
    return None if found is None else str(found)


def has_k(algorithm: str) -> bool:
    """Whether the algorithm decides by a number of neighbours, so that an answer can be had for every smaller one."""
    spec = _spec(algorithm)
    if spec is None or spec.label == "none":
        return False
    return any(declared.name == "k" for declared in spec.hyperparameters)


def predicts_no_label(algorithm: str) -> bool:
    """Whether what its models answer can be compared with no label, as that of `kmeans`."""
    spec = _spec(algorithm)
    return spec is not None and spec.label == "none"


def _predictor_type(algorithm: str, texts: dict[str, str]) -> str | None:
    """Nothing where nothing is known."""
    spec = _spec(algorithm)
    return spec.predictor_type(texts) if spec is not None and texts else None


def _spec(algorithm: str) -> AlgorithmSpec | None:
    return algorithm_get(algorithm) if algorithm in ALGORITHMS else None


def _hyperparameters(model: Model) -> dict[str, str]:
    given = model.manifest.get("hyperparameters")
    if not isinstance(given, dict):
        given = model.training_job.hyperparameters if model.training_job else {}
    return {str(name): str(value) for name, value in given.items()}


def _values(algorithm: str, texts: dict[str, str]) -> dict[str, Any]:
    """Typed, with defaults; what cannot be read is left out, since nobody asks for it any more.

    Nothing where nothing is known: a default would then be a guess.
    """
    spec = _spec(algorithm)
    values: dict[str, Any] = {}
    for declared in spec.hyperparameters if spec and texts else ():
        text = texts.get(declared.name, "").strip()
        try:
            values[declared.name] = declared.parse(text) if text else declared.default
        except ValueError:
            continue
    return values
