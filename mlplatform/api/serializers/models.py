"""Models: requests and answers."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from mlplatform.api.fields import Answer, ModelEnvironmentField, NameField, StrictSerializer, TextField
from mlplatform.api.serializers.lists import ListQuery, order_field


class ModelRequest(StrictSerializer):
    """Give either `training_job`, or `artifact_uri` with `algorithm`."""

    name = NameField()
    training_job = NameField(required=False, help_text="A job that is Completed.")
    artifact_uri = TextField(required=False, max_length=300, help_text="`s3://` address of a model.tar.gz.")
    algorithm = TextField(required=False, max_length=40, help_text="What made the artifact.")
    environment = ModelEnvironmentField(default=dict)
    description = TextField(allow_blank=True, max_length=2000, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("training_job" in attrs) == ("artifact_uri" in attrs):
            raise serializers.ValidationError(
                {"training_job": [_("give either training_job or artifact_uri, not both or none")]}
            )
        return attrs


class ModelQuery(ListQuery):
    algorithm = serializers.CharField(max_length=40, default="", allow_blank=True)
    order = order_field("created", "name", "algorithm", "size")


class ModelSummary(Answer):
    name = serializers.CharField()
    arn = serializers.CharField()
    algorithm = serializers.CharField()
    training_job = serializers.CharField(allow_null=True)
    artifact_bytes = serializers.IntegerField()
    description = serializers.CharField(allow_blank=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class Model(ModelSummary):
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
