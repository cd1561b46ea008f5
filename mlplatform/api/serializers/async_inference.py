"""Asynchronous inference: its configuration, requests and what came of them."""

from __future__ import annotations

from rest_framework import serializers

from mlplatform.api.fields import Answer, NameField, OneOfField, StrictSerializer, TextField, WholeNumberField
from mlplatform.api.serializers.lists import ListQuery, order_field
from mlplatform.core.status import AsyncInvocationStatus

_STATUSES = [status.value for status in AsyncInvocationStatus]


class AsyncInferenceInput(StrictSerializer):
    """Given, the endpoint takes requests as objects, and those alone."""

    output_uri = TextField(
        required=False,
        allow_null=True,
        default=None,
        max_length=800,
        help_text="`s3://` folder of this project for results; the platform's own if left out.",
    )
    failure_uri = TextField(
        required=False, allow_null=True, default=None, max_length=800, help_text="The same for failures."
    )
    max_concurrent_per_instance = WholeNumberField(
        min_value=1, max_value=1000, default=4, help_text="Requests in flight for each instance."
    )


class AsyncInference(Answer):
    output_uri = serializers.CharField(allow_null=True)
    failure_uri = serializers.CharField(allow_null=True)
    max_concurrent_per_instance = serializers.IntegerField()


class AsyncInvocationParameters(StrictSerializer):
    variant = NameField(required=False, help_text="Only this one answers.")


class AsyncInvocationQuery(ListQuery):
    status = OneOfField(choices=_STATUSES, default="", allow_blank=True)
    order = order_field("created")


class AsyncAccepted(Answer):
    inference_id = serializers.CharField()
    output_uri = serializers.CharField(help_text="Where the result will be.")
    failure_uri = serializers.CharField(help_text="Where a failure will be instead.")


class AsyncFailure(Answer):
    status = serializers.IntegerField()
    code = serializers.CharField()
    message = serializers.CharField()


class AsyncInvocation(AsyncAccepted):
    status = serializers.ChoiceField(choices=_STATUSES)
    input_uri = serializers.CharField()
    input_bytes = serializers.IntegerField()
    content_type = serializers.CharField(allow_null=True)
    accept = serializers.CharField(allow_null=True)
    variant = serializers.CharField(allow_null=True)
    timeout_s = serializers.IntegerField()
    attempt = serializers.IntegerField()
    output_bytes = serializers.IntegerField(allow_null=True)
    failure = AsyncFailure(allow_null=True)
    model_ms = serializers.FloatField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class AsyncQueueState(Answer):
    pending = serializers.IntegerField()
    in_progress = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    oldest_at = serializers.DateTimeField(allow_null=True, help_text="Since when a request waits.")
