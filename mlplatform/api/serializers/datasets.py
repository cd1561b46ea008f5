"""Datasets: requests (JSON and multipart) and answers."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.data.sample_list import SAMPLES
from mlplatform.api.fields import (
    Answer,
    FlagField,
    NameField,
    NumberField,
    OneOfField,
    QueryNumberField,
    StrictSerializer,
    TextField,
    TextMapField,
    WholeNumberField,
)
from mlplatform.api.schema_parts import BINARY
from mlplatform.api.serializers.lists import ListQuery, order_field

ENCODINGS = ["utf-8", "cp932", "euc-jp"]
DELIMITERS = [",", ";", "\t"]
DESCRIPTION_MAX = 10_000
PARTS_MAX = 10
_LABEL_HELP = "Name of the label column, or its position from 0; none: a table without a label."


@extend_schema_field(
    {"type": ["string", "integer"], "maxLength": 1000, "minimum": -10_000, "maximum": 10_000}
)
class LabelField(serializers.Field[str | int | None, Any, Any, Any]):
    """A column by name or position."""

    default_error_messages = {"not_label": _("use the name of a column, or its position from 0")}

    def to_internal_value(self, data: Any) -> str | int:
        is_position = isinstance(data, int) and not isinstance(data, bool) and -10_000 <= data <= 10_000
        is_name = isinstance(data, str) and len(data) <= 1000 and "\0" not in data
        if not is_position and not is_name:
            self.fail("not_label")
        found: str | int = data
        return found

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"type": "boolean"})
class FormFlagField(OneOfField):
    """true or false in a form, where one that is left out is unknown and not false."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=["true", "false"], **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(str(data).lower()) == "true"


@extend_schema_field(BINARY)
class UploadField(serializers.FileField):
    """A part of a form that is a file."""


_UPLOAD_HELP = "Id of a resumable upload of your own that has come whole; it is used up."


class VersionRequest(StrictSerializer):
    upload = NameField(help_text=_UPLOAD_HELP)
    label: Any = LabelField(required=False, allow_null=True, help_text=_LABEL_HELP)
    header = FlagField(required=False, allow_null=True, help_text="Of a CSV; found out if left out.")
    encoding = OneOfField(choices=ENCODINGS, required=False, allow_null=True)
    delimiter = OneOfField(choices=DELIMITERS, required=False, allow_null=True)


class DatasetRequest(StrictSerializer):
    """Give one of `uri`, `upload` and `sample`. A sample knows its label and form itself."""

    name = NameField()
    uri = TextField(
        required=False, max_length=2048, help_text="`https://…`, or `s3://` of the project's own bucket."
    )
    upload = NameField(required=False, help_text=_UPLOAD_HELP)
    sample = OneOfField(choices=[sample.name for sample in SAMPLES], required=False)
    label: Any = LabelField(required=False, allow_null=True, help_text=_LABEL_HELP)
    header = FlagField(required=False, allow_null=True, help_text="Of a CSV; found out if left out.")
    encoding = OneOfField(choices=ENCODINGS, required=False, allow_null=True)
    delimiter = OneOfField(choices=DELIMITERS, required=False, allow_null=True)
    description = TextField(allow_blank=True, max_length=DESCRIPTION_MAX, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len({"uri", "upload", "sample"} & set(attrs)) != 1:
            raise serializers.ValidationError({"uri": [_("give one of uri, upload and sample")]})
        known = [name for name in ("label", "header", "encoding", "delimiter") if name in attrs]
        if "sample" in attrs and known:
            message = _("a sample has its own; leave this out")
            raise serializers.ValidationError({name: [message] for name in known})
        return attrs


class VersionUpload(StrictSerializer):
    file = UploadField(allow_empty_file=True, help_text="CSV, Parquet or JSON Lines, also as .gz.")
    label: Any = serializers.CharField(
        required=False, max_length=1000, trim_whitespace=False, help_text=_LABEL_HELP
    )
    header = FormFlagField(required=False, help_text="Of a CSV; found out if left out.")
    encoding = OneOfField(choices=ENCODINGS, required=False)
    delimiter = OneOfField(choices=DELIMITERS, required=False)


class DatasetUpload(VersionUpload):
    name = NameField()
    description = serializers.CharField(
        allow_blank=True, max_length=DESCRIPTION_MAX, default="", trim_whitespace=False
    )


class DatasetPatch(StrictSerializer):
    description = TextField(allow_blank=True, max_length=DESCRIPTION_MAX, required=False)
    tags = TextMapField(required=False)
    label: Any = LabelField(
        required=False, allow_null=True, help_text="Another label makes a new version of the same bytes."
    )


class SplitRequest(StrictSerializer):
    fractions = serializers.DictField(
        child=NumberField(min_value=0, max_value=1), help_text="Part → share of the rows; together at most 1."
    )
    seed = WholeNumberField(min_value=0, max_value=2**32 - 1, default=0, help_text="The `random_state`.")
    shuffle = FlagField(default=True)
    stratify = FlagField(default=False, help_text="Keep the proportions of the labels.")
    version = WholeNumberField(min_value=1, required=False, help_text="The newest if left out.")


class DatasetQuery(ListQuery):
    order = order_field("created", "updated", "name", "rows", "size")


class VersionQuery(StrictSerializer):
    version = QueryNumberField(
        min_value=1, max_value=99_999_999, required=False, help_text="The newest if left out."
    )


class DatasetColumn(Answer):
    name = serializers.CharField(allow_blank=True)
    type = serializers.ChoiceField(choices=["integral", "fractional", "text", "boolean"])
    missing = serializers.IntegerField()
    min = serializers.FloatField(allow_null=True)
    max = serializers.FloatField(allow_null=True)
    mean = serializers.FloatField(allow_null=True)
    std = serializers.FloatField(allow_null=True)
    distinct = serializers.IntegerField()
    distinct_exceeded = serializers.BooleanField(help_text="There are more than `distinct`.")


class DatasetSummary(Answer):
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    version = serializers.IntegerField(help_text="Number of the newest version.")
    rows = serializers.IntegerField()
    bytes = serializers.IntegerField()
    n_columns = serializers.IntegerField()
    label_column = serializers.CharField(allow_null=True)
    format = serializers.ChoiceField(choices=["csv", "parquet", "jsonlines"])
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class DatasetVersion(Answer):
    version = serializers.IntegerField()
    rows = serializers.IntegerField()
    bytes = serializers.IntegerField()
    digest = serializers.CharField(help_text="SHA-256 of the file, hexadecimal.")
    uri = serializers.CharField()
    filename = serializers.CharField()
    content_type = serializers.CharField()
    format = serializers.ChoiceField(choices=["csv", "parquet", "jsonlines"])
    encoding = serializers.CharField()
    delimiter = serializers.CharField()
    header = serializers.BooleanField()
    label_column = serializers.CharField(allow_null=True)
    label_mapping = serializers.DictField(
        child=serializers.IntegerField(),
        allow_null=True,
        help_text="Text label → number; null where labels are numbers.",
    )
    source: Any = serializers.ChoiceField(choices=["upload", "uri", "sample", "split", "relabel"])
    source_detail = serializers.CharField(allow_blank=True)
    parent: Any = serializers.CharField(allow_null=True, help_text="`name@version` it was made of.")
    warnings = serializers.ListField(child=serializers.CharField())
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class Dataset(DatasetSummary):
    digest = serializers.CharField(help_text="SHA-256 of the file, hexadecimal.")
    uri = serializers.CharField()
    tags = serializers.DictField(child=serializers.CharField(allow_blank=True))
    label_mapping = serializers.DictField(child=serializers.IntegerField(), allow_null=True)
    warnings = serializers.ListField(child=serializers.CharField())
    columns = DatasetColumn(many=True)


class Preview(Answer):
    columns = serializers.ListField(child=serializers.CharField(allow_blank=True))
    types = serializers.ListField(child=serializers.CharField())
    rows = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField(allow_blank=True)),
        help_text="At most 100, as text.",
    )
    n_rows = serializers.IntegerField(help_text="How many the table has.")


class Profile(Answer):
    """Statistics with histograms, preview and a random sample: docs/formats.md."""

    n_rows = serializers.IntegerField()
    schema = serializers.DictField()
    columns = serializers.ListField(child=serializers.DictField())
    preview = serializers.ListField(child=serializers.ListField())
    sample = serializers.DictField()
    warnings = serializers.ListField(child=serializers.CharField())
