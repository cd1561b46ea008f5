"""Evaluations of endpoints, and experiments with their cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.seeds.rows import Rows, as_json, at, numbered, owned, rows, when
from benchmarks.seeds.sizes import Sizes

_BY_K: Final = {name: [0.9] * 200 for name in ("accuracy", "f1_weighted", "f1_macro")}
_RESULT: Final = {"quality": {"k": list(range(1, 201)), **_BY_K}, "latency": {"batch_ms": [1.5] * 100}}
_SUMMARY: Final[dict[str, Any]] = {
    "metric": "accuracy",
    "value": 0.93,
    "has_k": True,
    "best": 0.94,
    "k_best": 5,
    "kind": "classification",
}
_FACTS: Final = {"algorithm": "knn", "hyperparameters": {"k": "10"}, "price_per_hour": 0.115}


def seeds(sizes: Sizes) -> Iterator[Rows]:
    yield _evaluations(sizes)
    yield owned(
        "endpoints.Experiment",
        sizes.experiments,
        name=numbered("experiment"),
        letter="x",
        algorithm="'knn'",
        train_reference="'dataset-000001@1'",
        test_reference="'dataset-000002@1'",
        status="'Completed'",
    )
    yield rows(
        "endpoints.ExperimentCell",
        sizes.experiments * sizes.cells,
        experiment_id=f"1 + (i - 1) / {sizes.cells}",
        position=f"(i - 1) % {sizes.cells}",
        configuration="'flat'",
        instance_type="'local.cpu'",
        training_key="md5(i::text)",
        status=when("i % 17 = 0", "'Failed'", "'Completed'"),
        training_job_id=f"1 + i % {sizes.jobs}",
        evaluation_id=f"1 + i % {sizes.evaluations}",
    )


def _evaluations(sizes: Sizes) -> Rows:
    n = sizes.evaluations
    endpoint, model, dataset = (
        f"1 + i % {n_there}" for n_there in (sizes.endpoints, sizes.models, sizes.datasets)
    )
    return owned(
        "endpoints.Evaluation",
        n,
        name=numbered("evaluation"),
        letter="q",
        endpoint_id=endpoint,
        endpoint_name=numbered("endpoint", endpoint),
        model_id=model,
        model_name=numbered("model", model),
        instance_type="'local.cpu'",
        dataset_reference=f"{numbered('dataset', dataset)} || '@1'",
        facts=as_json(_FACTS),
        status=when("i % 13 = 0", "'Failed'", "'Completed'"),
        summary=when("i % 13 > 0", as_json(_SUMMARY)),
        result=when("i % 13 > 0", as_json(_RESULT)),
        ended_at=at(n),
    )
