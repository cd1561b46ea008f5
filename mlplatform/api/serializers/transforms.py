"""Batch transforms: requests and answers."""

from __future__ import annotations

from rest_framework import serializers

from mlplatform.api.fields import (
    Answer,
    JobEnvironmentField,
    NameField,
    OneOfField,
    StrictSerializer,
    TextField,
    TextMapField,
    WholeNumberField,
)
from mlplatform.api.serializers.lists import ListQuery, order_field
from mlplatform.core.status import TransformJobStatus

_STATUSES = [status.value for status in TransformJobStatus]
_FILTER_MAX = 63
_RUNTIME_MAX_S = 28 * 24 * 3600


class TransformJobRequest(StrictSerializer):
    name = NameField(
        required=False, allow_null=True, default=None, help_text="Made from model and time if left out."
    )
    model = NameField()
    dataset = TextField(
        required=False,
        allow_null=True,
        default=None,
        max_length=80,
        help_text="Name of a dataset, `name@3` for version 3; else the newest. Either this or `uri`.",
    )
    uri = TextField(
        required=False,
        allow_null=True,
        default=None,
        max_length=1024,
        help_text="`s3://` address of an object, or of a prefix: then each object has a result of its own.",
    )
    content_type = TextField(
        default="",
        allow_blank=True,
        max_length=80,
        help_text="Of the requests; text/csv if left out. CSV rows and JSON can be filtered and joined.",
    )
    split_type = OneOfField(
        choices=["Line", "None"],
        default="Line",
        help_text="Whether a record is a line (or row), or the whole object.",
    )
    accept = TextField(
        default="",
        allow_blank=True,
        max_length=80,
        help_text="What the model is to answer; its own choice if left out.",
    )
    batch_strategy = OneOfField(
        choices=["MultiRecord", "SingleRecord"],
        default="MultiRecord",
        help_text="As many records in a request as fit, or one.",
    )
    max_payload_mb = WholeNumberField(min_value=1, max_value=100, default=6)
    max_concurrent = WholeNumberField(
        min_value=1,
        max_value=64,
        default=1,
        help_text="Requests in flight. The order of the records is kept.",
    )
    input_filter = TextField(
        default="$",
        max_length=_FILTER_MAX,
        help_text="What of a record is sent, as JSONPath: `$`, `$.a`, `$['a','b']`, `$[1,3]`, `$[0:4]`, `$[-1]`.",
    )
    output_filter = TextField(
        default="$", max_length=_FILTER_MAX, help_text="What of a (joined) record is written to the result."
    )
    join = OneOfField(
        choices=["None", "Input"],
        default="None",
        help_text="`Input` puts the answer beside its record: further columns of CSV, `SageMakerOutput` of JSON.",
    )
    instance_type = TextField(default="local.cpu", max_length=40)
    instance_count = WholeNumberField(min_value=1, max_value=1, default=1)
    max_runtime_s = WholeNumberField(min_value=1, max_value=_RUNTIME_MAX_S, default=86400)
    environment = JobEnvironmentField(default=dict)
    tags = TextMapField(default=dict)


class TransformJobQuery(ListQuery):
    status = OneOfField(choices=_STATUSES, default="", allow_blank=True)
    model = serializers.CharField(max_length=63, default="", allow_blank=True)
    order = order_field("created", "name", "status", "model")


class TransformResultQuery(StrictSerializer):
    name = serializers.CharField(
        max_length=1024, default="", help_text="Of one of `results`, where there are several."
    )


class TransformProgress(Answer):
    n_rows = serializers.IntegerField(required=False, allow_null=True, help_text="Null where nobody knows.")
    n_done = serializers.IntegerField(required=False)
    fraction = serializers.FloatField(required=False, allow_null=True)
    eta_s = serializers.FloatField(required=False, allow_null=True)


class TransformJobSummary(Answer):
    name = serializers.CharField()
    arn = serializers.CharField()
    status = serializers.ChoiceField(choices=_STATUSES)
    model = serializers.CharField()
    dataset = serializers.CharField(allow_null=True, help_text="`name@version`.")
    uri = serializers.CharField(allow_null=True)
    instance_type = serializers.CharField()
    instance_count = serializers.IntegerField()
    progress = TransformProgress()
    failure_reason = serializers.CharField(allow_null=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    billable_s = serializers.IntegerField(allow_null=True)


class TransformResult(Answer):
    name = serializers.CharField()
    uri = serializers.CharField()
    size_bytes = serializers.IntegerField()


class TransformFailure(Answer):
    kind = serializers.CharField()
    reason = serializers.CharField()
    row = serializers.IntegerField(allow_null=True, help_text="Number of the record, from 1.")
    object = serializers.CharField(allow_null=True)
    log_tail = serializers.ListField(child=serializers.CharField())


class TransformJob(TransformJobSummary):
    waiting_reason = serializers.CharField(allow_null=True)
    content_type = serializers.CharField()
    split_type = serializers.CharField()
    accept = serializers.CharField(allow_null=True)
    batch_strategy = serializers.CharField()
    max_payload_mb = serializers.IntegerField()
    max_concurrent = serializers.IntegerField()
    input_filter = serializers.CharField()
    output_filter = serializers.CharField()
    join = serializers.CharField()
    max_runtime_s = serializers.IntegerField()
    environment = serializers.DictField(child=serializers.CharField())
    tags = serializers.DictField(child=serializers.CharField())
    attempt = serializers.IntegerField()
    failure = TransformFailure(allow_null=True)
    result_uri = serializers.CharField(
        allow_null=True,
        help_text="Ends with `/` where the input was a prefix: one object for each of its objects.",
    )
    result_sha256 = serializers.CharField(allow_null=True)
    result_bytes = serializers.IntegerField(allow_null=True)
    results = TransformResult(many=True)
