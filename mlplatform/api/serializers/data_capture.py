"""Data capture of an endpoint: its switch, and the files with what was captured."""

from __future__ import annotations

from rest_framework import serializers

from endpoints.services.data_capture import DESTINATION_MAX, TYPES_MAX
from mlplatform.api.fields import Answer, FlagField, NameField, StrictSerializer, TextField, WholeNumberField
from mlplatform.api.serializers.lists import ListQuery, order_field

_TYPE_CHARACTERS_MAX = 255


def _content_types(what: str) -> serializers.ListField:
    return serializers.ListField(
        child=TextField(max_length=_TYPE_CHARACTERS_MAX),
        max_length=TYPES_MAX,
        required=False,
        help_text=f"Media types whose bodies are kept as {what}; those of neither list are kept in base64.",
    )


class DataCaptureRequest(StrictSerializer):
    """What is not given stays as it is, or has its default where there was none."""

    enabled = FlagField(required=False, help_text="true where it is not given with a new endpoint.")
    sampling_percentage = WholeNumberField(
        min_value=1, max_value=100, required=False, help_text="Share of the requests; 100 at first."
    )
    captures_input = FlagField(required=False, help_text="Requests; true at first.")
    captures_output = FlagField(required=False, help_text="Answers; true at first.")
    csv_content_types = _content_types("CSV")
    json_content_types = _content_types("JSON")
    destination = TextField(
        max_length=DESTINATION_MAX,
        required=False,
        help_text="Folder of this project's bucket; `s3://<bucket>/data-capture` at first.",
    )


class DataCapture(Answer):
    enabled = serializers.BooleanField()
    capture_status = serializers.ChoiceField(
        choices=["Started", "Stopped"],
        help_text="Stopped also while it is enabled and nothing can be captured; `problem` says why.",
    )
    sampling_percentage = serializers.IntegerField()
    captures_input = serializers.BooleanField()
    captures_output = serializers.BooleanField()
    csv_content_types = serializers.ListField(child=serializers.CharField())
    json_content_types = serializers.ListField(child=serializers.CharField())
    destination = serializers.CharField()
    problem = serializers.CharField(allow_null=True, help_text="Why records are not captured or not stored.")
    n_dropped = serializers.IntegerField(help_text="Records that were drawn and could not be captured.")
    dropped_at = serializers.DateTimeField(allow_null=True)
    changed_by = serializers.CharField(allow_null=True)
    changed_at = serializers.DateTimeField(allow_null=True, help_text="null where it never was enabled.")


class CapturedFileQuery(ListQuery):
    variant = NameField(required=False, help_text="Of this variant only.")
    order = order_field("hour", "created")


class CapturedFile(Answer):
    id = serializers.CharField()
    variant = serializers.CharField()
    hour = serializers.DateTimeField(help_text="Of the invocations, UTC.")
    uri = serializers.CharField()
    n_records = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    created_at = serializers.DateTimeField()
