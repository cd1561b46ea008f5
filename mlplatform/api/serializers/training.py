"""Training jobs: requests and answers."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.algorithms.registry import SCRIPT
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
from mlplatform.api.serializers.sources import Script, ScriptInput
from mlplatform.core.status import SecondaryStatus, TrainingJobStatus

MAX_RUNTIME_S = 28 * 86400
HYPERPARAMETERS_MAX = 100


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean"]},
        "maxProperties": HYPERPARAMETERS_MAX,
        "description": "As the algorithm declares them; numbers may be sent as numbers or as texts.",
    }
)
class HyperparametersField(serializers.DictField):
    """Values by name; which are accepted is the algorithm's affair."""

    default_error_messages = {
        "not_scalar": _("use a text, a number or a boolean"),
        "too_many": _("has {n} entries; at most {limit} are accepted"),
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values: dict[str, Any] = dict(super().to_internal_value(data))
        if len(values) > HYPERPARAMETERS_MAX:
            self.fail("too_many", n=len(values), limit=HYPERPARAMETERS_MAX)
        wrong = [name for name, value in values.items() if not isinstance(value, str | int | float | bool)]
        if wrong:
            message = self.error_messages["not_scalar"]
            raise serializers.ValidationError({name[:80]: [message] for name in wrong})
        return values


class ChannelInput(StrictSerializer):
    """Give either `dataset` or `uri`."""

    dataset = TextField(
        required=False, max_length=80, help_text="Name of a dataset, `name@3` for version 3; else the newest."
    )
    uri = TextField(required=False, max_length=1024, help_text="`s3://bucket/key` or a prefix.")
    content_type = TextField(
        required=False, max_length=80, help_text="For a uri; `text/csv;label_size=1` by default."
    )
    input_mode = OneOfField(choices=["File", "Pipe"], default="File")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("dataset" in attrs) == ("uri" in attrs):
            raise serializers.ValidationError(_("give either dataset or uri, not both or none"))
        return attrs


class MetricDefinition(StrictSerializer):
    name = TextField(max_length=255)
    regex = TextField(max_length=500, help_text="RE2; the first group is the value.")


class TrainingJobRequest(StrictSerializer):
    name = NameField(
        required=False, allow_null=True, default=None, help_text="Made from algorithm and time if left out."
    )
    algorithm = TextField(
        required=False, max_length=40, help_text="A built-in one; left out where there is a `script`."
    )
    script = ScriptInput(required=False, allow_null=True, help_text="Run in the place of an algorithm.")
    hyperparameters = HyperparametersField(default=dict)
    channels = serializers.DictField(
        child=ChannelInput(),
        default=dict,
        help_text="By channel name: `train`, `test`; a script's as it likes.",
    )
    instance_type = TextField(max_length=40, default="local.cpu")
    instance_count = WholeNumberField(
        min_value=1, max_value=1, default=1, help_text="A job runs on 1 instance."
    )
    max_runtime_s = WholeNumberField(min_value=1, max_value=MAX_RUNTIME_S, default=86400)
    metric_definitions: Any = serializers.ListSerializer(
        child=MetricDefinition(), default=list, max_length=40
    )
    environment = JobEnvironmentField(default=dict)
    tags = TextMapField(default=dict)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("script") and "algorithm" not in attrs:
            raise serializers.ValidationError({"algorithm": [_("is required where there is no script")]})
        if attrs.get("script") and attrs.get("algorithm", SCRIPT) != SCRIPT:
            message = _("{value} is not accepted with a script; leave it out").format(
                value=repr(attrs["algorithm"])
            )
            raise serializers.ValidationError({"algorithm": [message]})
        return attrs


class TrainingJobQuery(ListQuery):
    status = OneOfField(choices=[status.value for status in TrainingJobStatus], default="", allow_blank=True)
    algorithm = serializers.CharField(max_length=40, default="", allow_blank=True)
    order = order_field("created", "name", "status", "algorithm", "instance_type")


class TrainingJobSummary(Answer):
    name = serializers.CharField()
    arn = serializers.CharField()
    algorithm = serializers.CharField()
    status = serializers.ChoiceField(choices=[status.value for status in TrainingJobStatus])
    secondary_status = serializers.ChoiceField(choices=[status.value for status in SecondaryStatus])
    instance_type = serializers.CharField()
    instance_count = serializers.IntegerField()
    failure_reason = serializers.CharField(allow_null=True)
    final_metrics = serializers.DictField(child=serializers.FloatField(allow_null=True))
    billable_s = serializers.IntegerField(allow_null=True)
    price_per_hour = serializers.FloatField(allow_null=True, help_text="That held when the job ended.")
    currency = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class Transition(Answer):
    status = serializers.ChoiceField(choices=[status.value for status in SecondaryStatus])
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    message = serializers.CharField(allow_blank=True)


class Failure(Answer):
    kind = serializers.CharField(help_text="DataError, ClientError, OutOfMemory, TimeLimit, LostWorker, ...")
    reason = serializers.CharField()
    detail = serializers.CharField(allow_blank=True, allow_null=True)
    row = serializers.IntegerField(allow_null=True)
    column = serializers.CharField(allow_null=True)
    exit_code = serializers.IntegerField(allow_null=True)
    signal = serializers.CharField(allow_null=True)
    log_tail = serializers.ListField(child=serializers.CharField(allow_blank=True))
    first_line = serializers.IntegerField(allow_null=True)


class TrainingChannel(Answer):
    dataset = serializers.CharField(allow_null=True, help_text="`name@version`.")
    uri = serializers.CharField()
    content_type = serializers.CharField(allow_blank=True)
    input_mode = serializers.ChoiceField(choices=["File", "Pipe"])


class Progress(Answer):
    fraction = serializers.FloatField(allow_null=True)
    text = serializers.CharField(allow_blank=True)


class StoredOutput(Answer):
    uri = serializers.CharField()
    sha256 = serializers.CharField()
    size_bytes = serializers.IntegerField()


class TrainingJob(TrainingJobSummary):
    script = Script(allow_null=True)
    output = StoredOutput(allow_null=True, help_text="`output.tar.gz`: what the job left in output/data.")
    input_bytes = serializers.IntegerField(allow_null=True, help_text="Placed in its channels, or fed.")
    secondary_status_transitions = Transition(many=True)
    waiting_reason = serializers.CharField(allow_null=True, help_text="Why a pending job does not start.")
    failure = Failure(allow_null=True)
    hyperparameters = serializers.DictField(child=serializers.JSONField())
    channels = serializers.DictField(child=TrainingChannel())
    queue = serializers.CharField()
    max_runtime_s = serializers.IntegerField()
    metric_definitions = MetricDefinition(many=True)
    environment = serializers.DictField(child=serializers.CharField(allow_blank=True))
    tags = serializers.DictField(child=serializers.CharField(allow_blank=True))
    progress = Progress()
    attempt = serializers.IntegerField()
    artifact_uri = serializers.CharField(allow_null=True)
    artifact_sha256 = serializers.CharField(allow_null=True)
    artifact_bytes = serializers.IntegerField(allow_null=True)
    cloned_from = serializers.CharField(allow_null=True)
    created_by = serializers.CharField()


@extend_schema_field(
    {
        "type": "array",
        "prefixItems": [
            {"type": "integer", "description": "milliseconds since the epoch"},
            {"type": "integer", "description": "step, from 0"},
            {"type": ["number", "null"], "description": "value; null where it is not finite"},
        ],
        "minItems": 3,
        "maxItems": 3,
    }
)
class PointField(serializers.ListField):
    """[milliseconds since the epoch, step, value]."""


class MetricSeries(Answer):
    name = serializers.CharField()
    n_points = serializers.IntegerField()
    last = serializers.FloatField(allow_null=True)
    minimum = serializers.FloatField(allow_null=True)
    maximum = serializers.FloatField(allow_null=True)
    points = serializers.ListField(child=PointField(), help_text="At most 5,000, extremes kept.")


class MetricTestRequest(StrictSerializer):
    metric_definitions: Any = serializers.ListSerializer(
        child=MetricDefinition(), min_length=1, max_length=40
    )
    text = TextField(
        allow_blank=True, required=False, max_length=1024 * 1024, help_text="Lines of a log; or training_job."
    )
    training_job = TextField(
        required=False,
        max_length=63,
        help_text="The log of this job instead: its first and its last 2 MiB.",
    )


class MetricMatch(Answer):
    name = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    line = serializers.IntegerField(help_text="From 1.")
