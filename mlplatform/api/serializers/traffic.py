"""What an endpoint did: counts, errors, latencies."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlplatform.api.fields import Answer, QueryNumberField, StrictSerializer
from mlplatform.api.serializers.endpoints import ReplicaOfEndpoint


class TrafficQuery(StrictSerializer):
    minutes = QueryNumberField(min_value=1, max_value=1440, default=60, help_text="How far back.")


class TrafficCounts(Answer):
    requests = serializers.IntegerField()
    errors: Any = serializers.IntegerField()
    errors_4xx = serializers.IntegerField()
    errors_5xx = serializers.IntegerField()
    model_errors = serializers.IntegerField(help_text="424: the model's own fault.")
    throttled = serializers.IntegerField(help_text="429: too many at once; in `errors_4xx` too.")
    cold_starts = serializers.IntegerField(help_text="Requests that waited for a model server to start.")
    busy_ms = serializers.IntegerField(help_text="Time in model servers, of all requests together.")
    mean_ms = serializers.FloatField(allow_null=True)
    p50_ms = serializers.FloatField(allow_null=True)
    p90_ms = serializers.FloatField(allow_null=True)
    p99_ms = serializers.FloatField(allow_null=True)


class TrafficPoint(TrafficCounts):
    minute_at = serializers.DateTimeField()


class Traffic(TrafficCounts):
    """Counts are written every 2 seconds: the last requests may be missing for so long."""

    minutes = serializers.IntegerField()
    points = TrafficPoint(many=True, help_text="Every minute, the last one under way.")
    variants = serializers.DictField(child=TrafficCounts())
    replicas = ReplicaOfEndpoint(many=True)
