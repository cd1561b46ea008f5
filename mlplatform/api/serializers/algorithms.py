"""Declarations of algorithms."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mlplatform.api.fields import Answer


@extend_schema_field({"type": ["string", "number", "null"]})
class ScalarOrNull(serializers.JSONField):
    """A number, a text, or null."""


class Hyperparameter(Answer):
    name = serializers.CharField()
    type = serializers.ChoiceField(choices=["integer", "continuous", "categorical", "text"])
    help = serializers.CharField(allow_blank=True)
    required = serializers.BooleanField()  # type: ignore[assignment]
    default = ScalarOrNull()
    example = ScalarOrNull()
    tunable = serializers.BooleanField()
    hidden = serializers.BooleanField()
    relevant_if = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    min = serializers.FloatField(allow_null=True)
    max = serializers.FloatField(allow_null=True)
    values = serializers.ListField(child=ScalarOrNull(), allow_null=True)
    scale = serializers.CharField(allow_null=True)


class Channel(Answer):
    name = serializers.CharField()
    help = serializers.CharField(allow_blank=True)
    required = serializers.BooleanField()  # type: ignore[assignment]
    content_types = serializers.ListField(child=serializers.CharField())
    input_modes = serializers.ListField(child=serializers.CharField())


class AlgorithmMetric(Answer):
    name = serializers.CharField()
    regex = serializers.CharField()
    direction = serializers.ChoiceField(choices=["Maximize", "Minimize"])
    help = serializers.CharField(allow_blank=True)


class Algorithm(Answer):
    name = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    label = serializers.ChoiceField(choices=["required", "optional", "none"])  # type: ignore[assignment]
    hyperparameters = Hyperparameter(many=True)
    channels = Channel(many=True)
    metrics = AlgorithmMetric(many=True)
    request_content_types = serializers.ListField(child=serializers.CharField())
    response_content_types = serializers.ListField(child=serializers.CharField())
