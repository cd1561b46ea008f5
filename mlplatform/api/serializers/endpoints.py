"""Endpoints, their traffic and logs: requests and answers."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from mlplatform.api.fields import (
    Answer,
    NameField,
    NumberField,
    OneOfField,
    QueryNumberField,
    StrictSerializer,
    TextField,
    TextMapField,
    WholeNumberField,
)
from mlplatform.api.serializers.lists import ListQuery, order_field
from mlplatform.api.serializers.logs import Log
from mlplatform.core.status import EndpointStatus, ReplicaStatus

WEIGHT_MAX = 1_000_000


class VariantInput(StrictSerializer):
    name = NameField(default="AllTraffic")
    model = NameField()
    instance_type = TextField(max_length=40, default="local.cpu")
    instance_count = WholeNumberField(min_value=1, max_value=1000, default=1)
    weight = NumberField(
        min_value=0, max_value=WEIGHT_MAX, default=1.0, help_text="Share: weight / sum of weights."
    )


class EndpointRequest(StrictSerializer):
    name = NameField()
    variants: Any = serializers.ListSerializer(child=VariantInput(), min_length=1, max_length=10)
    description = TextField(allow_blank=True, max_length=2000, default="")
    tags = TextMapField(default=dict)


class EndpointPatch(StrictSerializer):
    """Give either new `variants`, or `weights` and `counts` of those there are."""

    variants: Any = serializers.ListSerializer(
        child=VariantInput(), min_length=1, max_length=10, required=False
    )
    weights = serializers.DictField(child=NumberField(min_value=0, max_value=WEIGHT_MAX), required=False)
    counts = serializers.DictField(child=WholeNumberField(min_value=1, max_value=1000), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        changes_shares = "weights" in attrs or "counts" in attrs
        if ("variants" in attrs) == changes_shares:
            raise serializers.ValidationError(_("give either variants, or weights and counts"))
        return attrs


class EndpointQuery(ListQuery):
    status = OneOfField(choices=[status.value for status in EndpointStatus], default="", allow_blank=True)
    order = order_field("created", "name", "status", "updated")


class Variant(Answer):
    name = serializers.CharField()
    model = serializers.CharField()
    instance_type = serializers.CharField()
    instance_count = serializers.IntegerField()
    weight = serializers.FloatField()


class EndpointSummary(Answer):
    name = serializers.CharField()
    arn = serializers.CharField()
    status = serializers.ChoiceField(choices=[status.value for status in EndpointStatus])
    failure_reason = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_blank=True)
    variants = Variant(many=True, help_text="As asked for.")
    serving = Variant(many=True, help_text="That answer now; others while an update rolls out.")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    in_service_at = serializers.DateTimeField(allow_null=True)


class EndpointFailure(Answer):
    reason = serializers.CharField()
    detail = serializers.CharField(allow_null=True, allow_blank=True)
    log_tail = serializers.ListField(child=serializers.CharField(allow_blank=True))


class ReplicaOfEndpoint(Answer):
    uid = serializers.CharField()
    variant = serializers.CharField()
    model = serializers.CharField()
    index = serializers.IntegerField()
    status = serializers.ChoiceField(choices=[status.value for status in ReplicaStatus])
    host = serializers.CharField(allow_null=True)
    restarts = serializers.IntegerField()
    memory_bytes = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    ready_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class Endpoint(EndpointSummary):
    waiting_reason = serializers.CharField(
        allow_null=True, help_text="Why nothing happens although it should."
    )
    failure = EndpointFailure(allow_null=True)
    tags = serializers.DictField(child=serializers.CharField(allow_blank=True))
    replicas = ReplicaOfEndpoint(many=True)
    invocations_url = serializers.CharField()


class EndpointLogQuery(StrictSerializer):
    replica = serializers.RegexField("^[0-9a-f]{26}$", required=False, help_text="Of this replica only.")
    after = QueryNumberField(
        min_value=0,
        max_value=2**53,
        required=False,
        help_text="Read on from this offset; else the last lines.",
    )
    lines = QueryNumberField(min_value=1, max_value=5000, default=200, help_text="How many last lines.")


class ReplicaLog(Log):
    replica = serializers.CharField()
    variant = serializers.CharField()
    index = serializers.IntegerField()
    status = serializers.ChoiceField(choices=[status.value for status in ReplicaStatus])
