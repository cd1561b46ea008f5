"""Table runs: a whole dataset through an endpoint."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mlplatform.api.fields import Answer, NameField, OneOfField, QueryNumberField, StrictSerializer, TextField
from mlplatform.api.serializers.algorithms import ScalarOrNull


class TableRunRequest(StrictSerializer):
    dataset = TextField(
        max_length=80, help_text="Name of a dataset, `name@3` for version 3; else the newest."
    )
    variant = NameField(required=False, allow_null=True, default=None, help_text="Only this one answers.")


class TableRun(Answer):
    uid = serializers.CharField()
    endpoint = serializers.CharField()
    dataset = serializers.CharField(help_text="`name@version`.")
    variant = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(choices=["InProgress", "Completed", "Failed"])
    n_rows = serializers.IntegerField()
    n_done = serializers.IntegerField()
    failure_reason = serializers.CharField(allow_null=True)
    summary = serializers.DictField(
        allow_null=True,
        help_text="Accuracy, per-class table, confusion matrix; for a regressor RMSE and MAE.",
    )
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class TableRowQuery(StrictSerializer):
    offset = QueryNumberField(min_value=0, max_value=2**53, default=0)
    limit = QueryNumberField(min_value=1, max_value=1000, default=100)
    only_wrong = OneOfField(
        choices=["true", "false"], default="false", help_text="Only rows whose prediction is not the label."
    )


@extend_schema_field({"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}})
class CellsField(serializers.ListField):
    """The cells of a row."""


class TableRow(Answer):
    row = serializers.IntegerField(help_text="From 1.")
    features = CellsField()
    label: Any = ScalarOrNull()
    prediction = ScalarOrNull()
    correct = serializers.BooleanField(allow_null=True)
    error = serializers.FloatField(required=False, allow_null=True, help_text="Of a regressor.")
