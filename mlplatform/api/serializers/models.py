"""Models: requests and answers."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from jobs.frameworks import FRAMEWORKS
from mlplatform.api.fields import (
    Answer,
    ModelEnvironmentField,
    NameField,
    OneOfField,
    StrictSerializer,
    TextField,
)
from mlplatform.api.serializers.lists import ListQuery, order_field


class ScriptFields(StrictSerializer):
    """What serves a model: a built-in algorithm, or a script upon a framework."""

    algorithm = TextField(
        required=False, max_length=40, help_text="The built-in algorithm that made the artifact."
    )
    framework = OneOfField(
        required=False,
        choices=list(FRAMEWORKS),
        help_text="For a model that a script serves: which defaults its handlers have.",
    )
    entry_point = TextField(
        required=False,
        max_length=200,
        help_text="The script with the handlers, in `source` or in the archive's `code/`. Default: `inference.py` "
        "there; for a script's job without one, the job's own script.",
    )
    source = TextField(  # type: ignore[assignment]  # the name of a part of every field
        required=False, max_length=26, help_text="uid of a source, in place of the archive's `code/`."
    )


class ModelRequest(ScriptFields):
    """Give either `training_job`, or `artifact_uri` with `algorithm` or, for a script's model, with `framework`."""

    name = NameField()
    training_job = NameField(required=False, help_text="A job that is Completed.")
    artifact_uri = TextField(required=False, max_length=300, help_text="`s3://` address of a model.tar.gz.")
    environment = ModelEnvironmentField(default=dict)
    description = TextField(allow_blank=True, max_length=2000, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("training_job" in attrs) == ("artifact_uri" in attrs):
            raise serializers.ValidationError(
                {"training_job": [_("give either training_job or artifact_uri, not both or none")]}
            )
        return attrs


class ModelUpload(ScriptFields):
    """A model.tar.gz as multipart/form-data, with `algorithm` or, for a script's model, with `framework`."""

    name = NameField()
    archive = serializers.FileField(
        help_text="model.tar.gz, with the script in its folder `code/` if it has one."
    )
    description = TextField(allow_blank=True, max_length=2000, default="")


class ModelQuery(ListQuery):
    algorithm = serializers.CharField(max_length=40, default="", allow_blank=True)
    order = order_field("created", "name", "algorithm", "size")


class ModelSummary(Answer):
    name = serializers.CharField()
    arn = serializers.CharField()
    algorithm = serializers.CharField(help_text="`script` for one that a script serves.")
    framework = serializers.CharField(allow_null=True, help_text="Of a script's model.")
    training_job = serializers.CharField(allow_null=True)
    artifact_bytes = serializers.IntegerField()
    description = serializers.CharField(allow_blank=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class ModelFile(Answer):
    path = serializers.CharField()
    size_bytes = serializers.IntegerField()


class ModelScript(Answer):
    entry_point = serializers.CharField(
        allow_null=True, help_text="null: no script, all is as the framework has it."
    )
    source = serializers.CharField(  # type: ignore[assignment]  # as above
        allow_null=True, help_text="uid; null: the archive's own `code/`."
    )
    handlers = serializers.ListField(
        child=serializers.CharField(),
        help_text="Which of model_fn, input_fn, predict_fn, output_fn and transform_fn the script defines.",
    )
    files = ModelFile(many=True)


class Model(ModelSummary):
    script = ModelScript(allow_null=True)
    artifact_uri = serializers.CharField()
    artifact_sha256 = serializers.CharField()
    environment = serializers.DictField(child=serializers.CharField(allow_blank=True))
    labels = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        help_text="Text of each predicted code; null: numbers.",
    )
    manifest = serializers.DictField(help_text="What the training job recorded of the artifact.")
    endpoints = serializers.ListField(child=serializers.CharField(), help_text="That serve it.")
