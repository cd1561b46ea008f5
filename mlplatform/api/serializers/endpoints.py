"""Endpoints, their traffic and logs: requests and answers."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from endpoints.elastic import IDLE_LEAST_S, IDLE_MOST_S
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
from mlplatform.api.serializers.async_inference import AsyncInference, AsyncInferenceInput
from mlplatform.api.serializers.costs import Cost
from mlplatform.api.serializers.data_capture import DataCapture, DataCaptureRequest
from mlplatform.api.serializers.lists import ListQuery, order_field
from mlplatform.api.serializers.logs import Log
from mlplatform.api.serializers.serverless import Serverless, ServerlessInput
from mlplatform.core.status import EndpointStatus, ReplicaStatus

WEIGHT_MAX = 1_000_000


class VariantInput(StrictSerializer):
    name = NameField(default="AllTraffic")
    model = NameField()
    instance_type = TextField(max_length=40, required=False, help_text="local.cpu where none is given.")
    instance_count = WholeNumberField(
        min_value=1, max_value=1000, required=False, help_text="1 where none is given."
    )
    weight = NumberField(
        min_value=0, max_value=WEIGHT_MAX, default=1.0, help_text="Share: weight / sum of weights."
    )
    serverless = ServerlessInput(
        required=False, help_text="Instead of instance type and count; then it is the only variant."
    )
    idle_after_s = WholeNumberField(
        min_value=IDLE_LEAST_S,
        max_value=IDLE_MOST_S,
        required=False,
        help_text="On instances: none of them runs so long after the last request. For ever where none is given.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "serverless" not in attrs:
            return attrs
        both = [name for name in ("instance_type", "instance_count", "idle_after_s") if name in attrs]
        if both:
            said = _("give this or serverless, not both")
            raise serializers.ValidationError({name: [said] for name in both})
        return attrs


class EndpointRequest(StrictSerializer):
    name = NameField()
    variants: Any = serializers.ListSerializer(child=VariantInput(), min_length=1, max_length=10)
    description = TextField(allow_blank=True, max_length=2000, default="")
    tags = TextMapField(default=dict)
    async_inference = AsyncInferenceInput(
        required=False, allow_null=True, help_text="Requests and answers are objects; see async-invocations."
    )
    data_capture = DataCaptureRequest(
        required=False, help_text="What is captured of its requests; changed later at data-capture."
    )


class EndpointPatch(StrictSerializer):
    """Give either new `variants` (and with them, if it is to change, `async_inference`), or `weights` and `counts` of
    those there are.
    """

    variants: Any = serializers.ListSerializer(
        child=VariantInput(), min_length=1, max_length=10, required=False
    )
    async_inference = AsyncInferenceInput(
        required=False, allow_null=True, help_text="null for an endpoint that answers at once."
    )
    weights = serializers.DictField(child=NumberField(min_value=0, max_value=WEIGHT_MAX), required=False)
    counts = serializers.DictField(child=WholeNumberField(min_value=1, max_value=1000), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        changes_shares = "weights" in attrs or "counts" in attrs
        if ("variants" in attrs) == changes_shares:
            raise serializers.ValidationError(_("give either variants, or weights and counts"))
        if "async_inference" in attrs and "variants" not in attrs:
            raise serializers.ValidationError({"async_inference": [_("give the variants too")]})
        return attrs


class EndpointQuery(ListQuery):
    status = OneOfField(choices=[status.value for status in EndpointStatus], default="", allow_blank=True)
    order = order_field("created", "name", "status", "updated")


class Variant(Answer):
    name = serializers.CharField()
    model = serializers.CharField()
    instance_type = serializers.CharField(allow_null=True, help_text="null where it is serverless.")
    instance_count = serializers.IntegerField(allow_null=True)
    weight = serializers.FloatField()
    serverless = Serverless(allow_null=True)
    idle_after_s = serializers.IntegerField(allow_null=True)


class EndpointSummary(Answer):
    name = serializers.CharField()
    arn = serializers.CharField()
    status = serializers.ChoiceField(choices=[status.value for status in EndpointStatus])
    failure_reason = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_blank=True)
    variants = Variant(many=True, help_text="As asked for.")
    serving = Variant(many=True, help_text="That answer now; others while an update rolls out.")
    async_inference = AsyncInference(allow_null=True, help_text="null where it answers at once.")
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


class ElasticVariant(Answer):
    """What a variant with an idle time does now."""

    variant = serializers.CharField()
    asleep = serializers.BooleanField(help_text="No process; the next request starts one.")
    n_ready = serializers.IntegerField()
    n_starting = serializers.IntegerField()
    n_most = serializers.IntegerField(help_text="Replicas that it may have.")
    vcpus = serializers.IntegerField(allow_null=True, help_text="Of each, where it is serverless.")
    requested_at = serializers.DateTimeField(allow_null=True)
    sleeps_at = serializers.DateTimeField(allow_null=True, help_text="If no request comes.")


class Endpoint(EndpointSummary):
    elastic = ElasticVariant(many=True, help_text="Of each variant that has an idle time.")
    waiting_reason = serializers.CharField(
        allow_null=True, help_text="Why nothing happens although it should."
    )
    failure = EndpointFailure(allow_null=True)
    tags = serializers.DictField(child=serializers.CharField(allow_blank=True))
    replicas = ReplicaOfEndpoint(many=True)
    data_capture = DataCapture()
    cost = Cost(help_text="Since it was created.")
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
    index = serializers.IntegerField(allow_null=True, help_text="null of one that is gone.")
    status = serializers.ChoiceField(choices=[status.value for status in ReplicaStatus])
    ended_at = serializers.DateTimeField(allow_null=True)
