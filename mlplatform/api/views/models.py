"""Models: create from a training job or an archive, list, read, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.models import Model as StoredModel
from endpoints.selectors.models import model_get, model_list, model_uses
from endpoints.services.models import model_create, model_delete
from mlplatform.api.auth import Rule
from mlplatform.api.base import ApiView, page_response
from mlplatform.api.parsers import StrictJSONParser, UploadParser
from mlplatform.api.presenters.models import model_json, model_summary_json
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.lists import listed
from mlplatform.api.serializers.models import Model, ModelQuery, ModelRequest, ModelSummary, ModelUpload

TAG = "models"
_MULTIPART = "multipart/form-data"


class ModelListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "POST": Rule.EDITOR}
    parser_classes = [StrictJSONParser, UploadParser]

    @operation("model_list", "Models", answer=listed(ModelSummary), query=ModelQuery)
    def get(self, request: Request, project: str) -> Response:
        return page_response(model_list(actor=self.actor, **self.query(ModelQuery)), model_summary_json)

    @operation(
        "model_create",
        "Make a model of an artifact",
        request={_MULTIPART: ModelUpload, "application/json": ModelRequest},
        answer=Model,
        status=201,
        idempotent=True,
        examples=[
            example(
                "From a training job",
                {"name": "iris", "training_job": "iris-knn"},
                media_type="application/json",
            )
        ],
    )
    def post(self, request: Request, project: str) -> Response:
        """The model gets a copy of the artifact of its own, so that the job may be deleted.

        A script's model is served by `model_fn`, `input_fn`, `predict_fn` and `output_fn`, or `transform_fn` in place
        of the last three; what is not defined is as the framework has it.
        """
        if request.content_type.startswith(_MULTIPART):
            upload = self.body(ModelUpload)
            return self.create_once(lambda: self._uploaded(upload))
        asked = self.body(ModelRequest)
        return self.create_once(lambda: _model_json(model_create(actor=self.actor, **asked)))

    def _uploaded(self, asked: dict[str, Any]) -> dict[str, Any]:
        archive = Path(asked.pop("archive").temporary_file_path())
        return _model_json(model_create(actor=self.actor, archive=archive, **asked))


class ModelView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "DELETE": Rule.EDITOR}

    @operation("model_get", "One model", answer=Model)
    def get(self, request: Request, project: str, name: str) -> Response:
        return Response(_model_json(model_get(actor=self.actor, name=name)))

    @operation("model_delete", "Delete a model that no endpoint serves", status=204, errors=[409])
    def delete(self, request: Request, project: str, name: str) -> Response:
        model_delete(actor=self.actor, name=name)
        return Response(status=204)


def _model_json(model: StoredModel) -> dict[str, Any]:
    return model_json(model, endpoints=model_uses(model=model))
