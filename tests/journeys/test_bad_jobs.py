"""Requests for training that cannot be carried out: all that is wrong at once, and no job is made."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.journeys.street import Street, refused, unique

pytestmark = pytest.mark.usefixtures("nothing_left")

IVF = {"index_type": "faiss.IVFFlat"}
PQ = {"index_type": "faiss.IVFPQ"}


def ask(street: Street, **request: Any) -> Any:
    hyperparameters = request.pop("hyperparameters", {})
    asked = street.job_request(unique("bad"), train="iris-train", hyperparameters=hyperparameters)
    return street.post("training-jobs/", asked | request)


@pytest.mark.parametrize(
    ("hyperparameters", "name", "words"),
    [
        pytest.param({"k": 0}, "k", ("0", "1"), id="k is 0"),
        pytest.param({"k": -1}, "k", ("-1",), id="k is negative"),
        pytest.param({"k": "three"}, "k", ("three",), id="k is text"),
        pytest.param({"k": 1.5}, "k", ("1.5",), id="k is no whole number"),
        pytest.param({"k": 10**30}, "k", (), id="k is enormous"),
        pytest.param({"k": 11, "sample_size": 10}, "k", ("11", "10"), id="k over the sample"),
        pytest.param({"k": 113}, "k", ("113", "112"), id="k over the rows"),
        pytest.param({"sample_size": 0}, "sample_size", ("0",), id="no sample"),
        pytest.param(
            {"predictor_type": "clusterer"}, "predictor_type", ("classifier", "regressor"), id="kind"
        ),
        pytest.param({"feature_dim": 5}, "feature_dim", ("5", "4"), id="feature_dim is not the data's"),
        pytest.param({"mini_batch_size": 0}, "mini_batch_size", ("0",), id="no mini batch"),
        pytest.param(
            IVF | {"faiss_index_ivf_nlists": 113}, "faiss_index_ivf_nlists", ("113", "112"), id="nlists"
        ),
        pytest.param({"index_metric": "L3"}, "index_metric", ("COSINE",), id="metric"),
        pytest.param({"index_type": "faiss.HNSW"}, "index_type", ("faiss.Flat",), id="index"),
        pytest.param(PQ, "faiss_index_pq_m", ("required",), id="pq_m is missing"),
        pytest.param(
            PQ | {"faiss_index_pq_m": 5}, "faiss_index_pq_m", ("5", "4"), id="pq_m that faiss has not"
        ),
        pytest.param(
            PQ | {"faiss_index_pq_m": 8}, "faiss_index_pq_m", ("8", "4"), id="pq_m over the columns"
        ),
        pytest.param(
            PQ
            | {
                "faiss_index_pq_m": 2,
                "dimension_reduction_type": "sign",
                "dimension_reduction_target": 3,
            },
            "faiss_index_pq_m",
            ("does not divide", "3"),
            id="pq_m does not divide",
        ),
        pytest.param(PQ | {"index_metric": "COSINE"}, "index_metric", ("L2",), id="pq with cosine"),
        pytest.param(
            {"dimension_reduction_type": "sign"}, "dimension_reduction_target", ("required",), id="no target"
        ),
        pytest.param(
            {"dimension_reduction_type": "sign", "dimension_reduction_target": 4},
            "dimension_reduction_target",
            ("4",),
            id="a target that reduces nothing",
        ),
        pytest.param({"kk": 3}, "kk", ("k",), id="unknown"),
    ],
)
def test_a_hyperparameter_that_cannot_be_is_refused_with_what_can(
    street: Street, hyperparameters: dict[str, Any], name: str, words: tuple[str, ...]
) -> None:
    refused(ask(street, hyperparameters=hyperparameters), field=f"hyperparameters.{name}", words=words)


def test_a_required_hyperparameter_is_asked_for(street: Street) -> None:
    request = street.job_request(unique("bad"), train="iris-train") | {"hyperparameters": {}}
    problem = refused(street.post("training-jobs/", request), field="hyperparameters.k", words=("required",))
    assert {f"hyperparameters.{name}" for name in ("k", "predictor_type", "sample_size")} <= {
        error["field"] for error in problem["errors"]
    }


@pytest.mark.parametrize(
    ("request_part", "field", "words"),
    [
        ({"algorithm": "k-nn"}, "algorithm", ("k-nn", "knn")),
        ({"channels": {}}, "channels.train", ("required",)),
        ({"channels": {"train": {"dataset": "ghost"}}}, "channels.train.dataset", ("ghost",)),
        ({"channels": {"train": {"dataset": "iris@7"}}}, "channels.train.dataset", ("7", "1")),
        ({"channels": {"train": {"dataset": "iris@x"}}}, "channels.train.dataset", ("x",)),
        ({"channels": {"train": {"dataset": "../iris"}}}, "channels.train.dataset", ("../iris",)),
        (
            {"channels": {"train": {"dataset": "iris"}, "validation": {"dataset": "iris"}}},
            "channels.validation",
            ("train", "test"),
        ),
        (
            {"channels": {"train": {"dataset": "iris", "input_mode": "Stream"}}},
            "channels.train.input_mode",
            ("Pipe",),
        ),
        ({"channels": {"train": {}}}, "channels.train", ("dataset",)),
        ({"channels": {"train": {"uri": "s3://other-bucket/x"}}}, "channels.train.uri", ("bucket",)),
        ({"instance_type": "ml.z9.huge"}, "instance_type", ("ml.m5.large",)),
        ({"instance_count": 2}, "instance_count", ()),
        ({"max_runtime_s": 0}, "max_runtime_s", ()),
        ({"max_runtime_s": 10**9}, "max_runtime_s", ()),
        ({"environment": {"LD_PRELOAD": "/x.so"}}, "environment.LD_PRELOAD", ("platform",)),
        ({"environment": {"A B": "1"}}, "environment.A B", ()),
        ({"tags": {"a": "b" * 257}}, "tags.a", ("256",)),
        ({"name": "../../x"}, "name", ("../../x",)),
        ({"colour": "red"}, "colour", ()),
    ],
)
def test_a_field_that_cannot_be_is_refused_with_what_can(
    street: Street, request_part: dict[str, Any], field: str, words: tuple[str, ...]
) -> None:
    refused(ask(street, **request_part), field=field, words=words)


def test_all_that_is_wrong_is_said_at_once(street: Street) -> None:
    problem = refused(ask(street, hyperparameters={"k": 0, "colour": 1}, instance_type="x", max_runtime_s=1))
    assert {error["field"] for error in problem["errors"]} == {
        "hyperparameters.k",
        "hyperparameters.colour",
        "instance_type",
    }


def test_a_name_that_is_taken_is_a_conflict(street: Street) -> None:
    answer = street.post("training-jobs/", street.job_request("iris-knn", train="iris-train"))
    refused(answer, status=409, field="name", words=("iris-knn",))


@pytest.mark.parametrize(
    ("regex", "words"),
    [
        (r"(?<!a)loss=(\d+)", ("RE2",)),
        (r"(a)\1", ("RE2",)),
        (r"((a{1000}){1000}){1000}", ("RE2",)),
        (r"loss=\d+", ("group",)),
        ("(" * 400, ("RE2",)),
        ("", ("regex",)),
        ("(" + "a" * 500 + ")", ("500",)),
    ],
)
def test_a_metric_definition_that_cannot_be_searched_for_is_refused(
    street: Street, regex: str, words: tuple[str, ...]
) -> None:
    definitions = [{"name": "loss", "regex": regex}]
    problem = refused(ask(street, metric_definitions=definitions), words=words)
    assert any("metric_definitions" in error["field"] for error in problem["errors"])


@pytest.mark.parametrize("regex", [r"^(a+)+$", r"(a|a)*b(\d)", r"(.*.*.*.*.*=)x", r"(a?){50}a{50}b"])
def test_a_regular_expression_that_explodes_elsewhere_takes_linear_time_here(
    street: Street, regex: str
) -> None:
    begun = time.monotonic()
    answer = street.post(
        "metric-definitions/test/",
        {"metric_definitions": [{"name": "bomb", "regex": regex}], "text": "a" * 100_000 + "!"},
    )
    assert answer.status == 200, answer.text
    assert answer.json["items"] == []
    assert time.monotonic() - begun < 5


def test_two_metrics_of_one_name_and_too_many_are_refused(street: Street) -> None:
    twice = [{"name": "loss", "regex": "a=(.)"}, {"name": "loss", "regex": "b=(.)"}]
    refused(ask(street, metric_definitions=twice), words=("loss", "twice"))
    many = [{"name": f"m{n}", "regex": "a=(.)"} for n in range(41)]
    refused(ask(street, metric_definitions=many), words=("40",))
