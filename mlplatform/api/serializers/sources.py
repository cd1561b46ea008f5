"""Source code of scripts: requests (JSON and multipart) and answers; and a script as part of other requests."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.frameworks import FRAMEWORKS
from jobs.runner.source_files import FILES_MAX, PATH_MAX_BYTES
from mlplatform.api.fields import Answer, OneOfField, StrictSerializer, TextField
from mlplatform.api.schema_parts import BINARY
from mlplatform.api.serializers.datasets import UploadField

_URI_HELP = "`s3://` of a `.tar.gz`, a script or a prefix in the project's own bucket."


@extend_schema_field(
    {
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": PATH_MAX_BYTES},
        "additionalProperties": {"type": "string"},
        "minProperties": 1,
        "maxProperties": FILES_MAX,
        "description": "Path in the source's folder to text.",
    }
)
class SourceFilesField(serializers.DictField):
    """Texts by path."""

    default_error_messages = {"not_text": _("is not a text; files that are none go in by form or archive")}

    def to_internal_value(self, data: Any) -> dict[str, bytes]:
        values = super().to_internal_value(data)
        wrong = {
            str(path)[:80]: [self.error_messages["not_text"]]
            for path, text in values.items()
            if not isinstance(text, str)
        }
        if wrong:
            raise serializers.ValidationError(wrong)
        return {path: text.encode("utf-8", "surrogatepass") for path, text in values.items()}


class SourceRequest(StrictSerializer):
    """Give either `files` or `uri`."""

    files: Any = SourceFilesField(required=False)
    uri = TextField(required=False, max_length=1024, help_text=_URI_HELP)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("files" in attrs) == ("uri" in attrs):
            raise serializers.ValidationError({"files": [_("give either files or uri, not both or none")]})
        return attrs


@extend_schema_field({"type": "array", "items": BINARY, "maxItems": FILES_MAX})
class UploadsField(serializers.ListField):
    """Parts of a form that are files, under one name."""


class SourceUpload(StrictSerializer):
    """Give either `files` or `archive`."""

    files: Any = UploadsField(
        child=serializers.FileField(allow_empty_file=True),
        required=False,
        help_text="Repeated; a part's filename may be a path within the folder, such as `lib/model.py`.",
    )
    archive = UploadField(required=False, help_text="A `.tar.gz` with the source's folder at its root.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs.get("files")) == ("archive" in attrs):
            raise serializers.ValidationError(
                {"files": [_("give either files or archive, not both or none")]}
            )
        return attrs


class SourceFile(Answer):
    path = serializers.CharField()
    size_bytes = serializers.IntegerField()


class Source(Answer):
    uid = serializers.CharField()
    uri = serializers.CharField(help_text="The archive.")
    sha256 = serializers.CharField(help_text="Of paths and contents: the same for the same folder.")
    archive_bytes = serializers.IntegerField()
    files = SourceFile(many=True)
    entry_points = serializers.ListField(
        child=serializers.CharField(), help_text="Files that could be the entry point, likely ones first."
    )
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class ScriptInput(StrictSerializer):
    """A script to run: give one of `source`, `files` and `uri`."""

    framework = OneOfField(choices=list(FRAMEWORKS), default="python")
    entry_point = TextField(max_length=200, help_text="Path of a .py or .sh in the source.")
    source: Any = TextField(required=False, max_length=26, help_text="`uid` of a source.")
    files: Any = SourceFilesField(required=False)
    uri = TextField(required=False, max_length=1024, help_text=_URI_HELP)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if sum(name in attrs for name in ("source", "files", "uri")) != 1:
            raise serializers.ValidationError({"source": [_("give exactly one of source, files and uri")]})
        return attrs


class Script(Answer):
    framework = serializers.ChoiceField(choices=list(FRAMEWORKS))
    entry_point = serializers.CharField()
    source: Any = serializers.CharField(help_text="`uid` of the source.")
