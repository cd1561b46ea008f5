"""Serverless variants and the lives of model servers: requests and answers."""

from __future__ import annotations

from rest_framework import serializers

from endpoints.elastic import CONCURRENCY_MAX, IDLE_AFTER_S, IDLE_LEAST_S, IDLE_MOST_S, MEMORY_STEPS_MB
from endpoints.services.replica_runs import RunEnd
from mlplatform.api.fields import Answer, OneOfField, StrictSerializer, WholeNumberField
from mlplatform.api.serializers.lists import ListQuery, order_field

_STEPS = ", ".join(map(str, MEMORY_STEPS_MB))


class ServerlessInput(StrictSerializer):
    memory_mb = WholeNumberField(min_value=1, max_value=2**31 - 1, help_text=f"One of {_STEPS}.")
    max_concurrency = WholeNumberField(
        min_value=1, max_value=CONCURRENCY_MAX, help_text="Requests at once, waiting ones included."
    )
    idle_after_s = WholeNumberField(
        min_value=IDLE_LEAST_S,
        max_value=IDLE_MOST_S,
        default=IDLE_AFTER_S,
        help_text="So long after the last request there is no process any more.",
    )


class Serverless(Answer):
    memory_mb = serializers.IntegerField()
    max_concurrency = serializers.IntegerField()
    idle_after_s = serializers.IntegerField()


class ReplicaRunQuery(ListQuery):
    search = None  # type: ignore[assignment]
    variant = serializers.CharField(default="", allow_blank=True, max_length=63)
    start = OneOfField(
        choices=["", "cold", "other"],
        default="",
        allow_blank=True,
        help_text="cold: only those for which requests waited.",
    )
    order = order_field("started")


class ReplicaRun(Answer):
    """One life of a model server."""

    replica = serializers.CharField()
    variant = serializers.CharField()
    instance_type = serializers.CharField(allow_null=True)
    memory_mb = serializers.IntegerField(allow_null=True)
    demanded_at = serializers.DateTimeField(
        allow_null=True, help_text="When the first request waited for it; null where none did."
    )
    started_at = serializers.DateTimeField()
    ready_at = serializers.DateTimeField(allow_null=True)
    seen_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.ChoiceField(choices=[reason.value for reason in RunEnd], allow_null=True)
    n_waiting = serializers.IntegerField(help_text="Requests that waited when it was ready.")
    cold_start_ms = serializers.FloatField(allow_null=True, help_text="From `demanded_at` to `ready_at`.")
    start_ms = serializers.FloatField(allow_null=True, help_text="From `started_at` to `ready_at`.")
