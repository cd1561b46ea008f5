"""Evaluations: requests and answers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mlplatform.api.fields import (
    Answer,
    NameField,
    OneOfField,
    QueryNumberField,
    StrictSerializer,
    TextField,
    TextMapField,
    WholeNumberField,
)
from mlplatform.api.serializers.algorithms import ScalarOrNull
from mlplatform.api.serializers.lists import ListQuery, order_field
from mlplatform.api.serializers.result_tables import ResultTableQuery
from mlplatform.core.status import EvaluationStatus

BATCHES_MAX = 10_000
SINGLE_REQUESTS_MAX = 100_000
K_MAX = 100_000
_STATUSES = [status.value for status in EvaluationStatus]
_YES = ("1", "true")


class EvaluationRequest(StrictSerializer):
    name = NameField(
        required=False, allow_null=True, default=None, help_text="Made from endpoint and time if left out."
    )
    endpoint = NameField()
    dataset = TextField(
        max_length=80, help_text="Name of a dataset, `name@3` for version 3; else the newest."
    )
    variant = NameField(
        required=False, allow_null=True, default=None, help_text="Needed where the endpoint has several."
    )
    k_max = WholeNumberField(
        required=False,
        allow_null=True,
        default=None,
        min_value=1,
        max_value=K_MAX,
        help_text="The largest k to score, at most the model's own, which it is if left out.",
    )
    batches = WholeNumberField(
        min_value=1, max_value=BATCHES_MAX, default=100, help_text="Into how many requests the data is cut."
    )
    single_requests = WholeNumberField(
        min_value=0, max_value=SINGLE_REQUESTS_MAX, default=2000, help_text="Calls with one row each."
    )
    tags = TextMapField(default=dict)


class EvaluationQuery(ListQuery):
    status = OneOfField(choices=_STATUSES, default="", allow_blank=True)
    endpoint = serializers.CharField(max_length=63, default="", allow_blank=True)
    order = order_field("created", "name", "status", "endpoint", "dataset")


@extend_schema_field({"type": "array", "items": {"type": ["number", "null"]}})
class NumbersField(serializers.ListField):
    """Numbers."""


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {
            "type": "array",
            "items": {"type": "array", "items": {"type": ["number", "null"]}},
        },
    }
)
class IntervalsByKField(serializers.DictField):
    """Per metric the bounds for each k."""


class EvaluationProgress(Answer):
    stage = serializers.CharField(required=False, help_text="quality, latency or statistics.")
    done = serializers.IntegerField(required=False, help_text="Requests of this stage.")
    total = serializers.IntegerField(required=False)
    fraction = serializers.FloatField(required=False, help_text="Of the whole, 0 to 1.")
    eta_s = serializers.FloatField(required=False, allow_null=True)
    n_rows = serializers.IntegerField(required=False)


class EvaluationSummary(Answer):
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=_STATUSES)
    endpoint = serializers.CharField(help_text="It may have been deleted since.")
    endpoint_exists = serializers.BooleanField()
    variant = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    training_job = serializers.CharField(allow_null=True)
    instance_type = serializers.CharField(allow_null=True)
    dataset = serializers.CharField(help_text="`name@version`.")
    k_max = serializers.IntegerField(allow_null=True)
    batches = serializers.IntegerField()
    single_requests = serializers.IntegerField()
    progress = EvaluationProgress()
    summary = serializers.DictField(
        allow_null=True, help_text="The most important figures: best k, score, latencies."
    )
    failure_reason = serializers.CharField(allow_null=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class Quality(Answer):
    """A list has a number for each k; one number where there is no k."""

    k = NumbersField(allow_null=True)
    accuracy = NumbersField(required=False)
    f1_weighted = NumbersField(required=False)
    f1_macro = NumbersField(required=False)
    f1_micro = NumbersField(required=False)
    rmse = NumbersField(required=False, help_text="Of a regressor.")
    mae = NumbersField(required=False, help_text="Of a regressor.")
    intervals = IntervalsByKField()
    confidence = serializers.FloatField()


class Latency(Answer):
    """Milliseconds; null where nothing was timed."""

    batch_size = serializers.IntegerField(allow_null=True)
    n_batches = serializers.IntegerField(help_text="That were timed.")
    n_batches_sent = serializers.IntegerField(required=False, help_text="Timed or not.")
    batch_mean_ms = serializers.FloatField(allow_null=True)
    batch_p50_ms = serializers.FloatField(allow_null=True)
    batch_p90_ms = serializers.FloatField(allow_null=True)
    batch_p99_ms = serializers.FloatField(allow_null=True)
    n_single = serializers.IntegerField()
    single_mean_ms = serializers.FloatField(allow_null=True)
    single_p50_ms = serializers.FloatField(allow_null=True)
    single_p90_ms = serializers.FloatField(allow_null=True)
    single_p99_ms = serializers.FloatField(allow_null=True)
    rows_per_s = serializers.FloatField(allow_null=True)
    intervals = serializers.DictField(help_text="Of each measure its bounds.")
    batch_ms = NumbersField(help_text="Each timed batch in its order, at most 1,000 of them.")
    batch_numbers = NumbersField(required=False, help_text="Which batch each of `batch_ms` is, from 1.")
    single_histogram = serializers.DictField(allow_null=True, help_text="`edges_ms` and `counts`.")


class Evaluation(EvaluationSummary):
    waiting_reason = serializers.CharField(allow_null=True, help_text="Why it has not begun.")
    facts = serializers.DictField(help_text="Of the model and machine that were measured.")
    tags = serializers.DictField(child=serializers.CharField(allow_blank=True))
    attempt = serializers.IntegerField()
    quality = Quality(allow_null=True)
    latency = Latency(allow_null=True)
    labels = serializers.ListField(child=serializers.CharField(allow_blank=True), allow_null=True)
    confusions = serializers.DictField(
        allow_null=True, help_text="By k: a row per label, a column per prediction."
    )
    classes = serializers.DictField(
        allow_null=True, help_text="By k: precision, recall and F1 of each label."
    )
    warnings = serializers.ListField(child=serializers.CharField(allow_blank=True))


class EvaluationRowQuery(StrictSerializer):
    k = QueryNumberField(
        min_value=1, max_value=K_MAX, required=False, help_text="The largest one if left out."
    )
    label: Any = serializers.CharField(required=False, max_length=300, trim_whitespace=False)
    prediction = serializers.CharField(required=False, max_length=300, trim_whitespace=False)
    wrong = OneOfField(
        choices=["0", "1", "false", "true"],
        default="0",
        help_text="1: only rows whose prediction is not the label.",
    )
    offset = QueryNumberField(min_value=0, max_value=2**53, default=0)
    limit = QueryNumberField(min_value=1, max_value=1000, default=100)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {**attrs, "wrong": attrs["wrong"] in _YES}


class EvaluationRow(Answer):
    row = serializers.IntegerField(help_text="Of the dataset, from 1.")
    label: Any = ScalarOrNull()
    prediction = ScalarOrNull()
    correct = serializers.BooleanField(allow_null=True)
    error = serializers.FloatField(required=False, allow_null=True, help_text="Of a regressor.")


class EvaluationTableQuery(ResultTableQuery):
    k = QueryNumberField(
        min_value=1,
        max_value=K_MAX,
        required=False,
        help_text="Of classes and confusion; else the model's own.",
    )
