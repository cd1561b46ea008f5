"""Datasets: upload, list, read, change, split, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from jobs.models import Dataset as StoredDataset
from jobs.selectors.datasets import dataset_get, dataset_list, dataset_versions
from jobs.services.dataset_uploads import dataset_create_from_resumable, dataset_version_add_resumable
from jobs.services.datasets import (
    dataset_create_from_sample,
    dataset_create_from_upload,
    dataset_create_from_uri,
    dataset_delete,
    dataset_split,
    dataset_update,
    dataset_version_add,
)
from mlplatform.api.auth import Rule
from mlplatform.api.base import ApiView, list_response, page_response
from mlplatform.api.parsers import StrictJSONParser, UploadParser
from mlplatform.api.presenters.datasets import dataset_json, dataset_summary_json, version_json
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.datasets import (
    Dataset,
    DatasetPatch,
    DatasetQuery,
    DatasetRequest,
    DatasetSummary,
    DatasetUpload,
    DatasetVersion,
    SplitRequest,
    VersionRequest,
    VersionUpload,
)
from mlplatform.api.serializers.lists import listed

TAG = "datasets"
_MULTIPART = "multipart/form-data"
_CREATE: dict[str, Callable[..., StoredDataset]] = {
    "sample": dataset_create_from_sample,
    "upload": dataset_create_from_resumable,
    "uri": dataset_create_from_uri,
}


class DatasetListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "POST": Rule.EDITOR}
    parser_classes = [StrictJSONParser, UploadParser]

    @operation("dataset_list", "Datasets", answer=listed(DatasetSummary), query=DatasetQuery)
    def get(self, request: Request, project: str) -> Response:
        return page_response(dataset_list(actor=self.actor, **self.query(DatasetQuery)), dataset_summary_json)

    @operation(
        "dataset_create",
        "Upload a table, take one that was uploaded, copy one from a URI, or take a sample",
        request={_MULTIPART: DatasetUpload, "application/json": DatasetRequest},
        answer=Dataset,
        status=201,
        idempotent=True,
        examples=[example("A sample", {"name": "iris", "sample": "iris"}, media_type="application/json")],
    )
    def post(self, request: Request, project: str) -> Response:
        """A file is streamed to disk, read in full by a process of its own, and kept only if every row can be used."""
        if request.content_type.startswith(_MULTIPART):
            upload = self.body(DatasetUpload)
            return self.create_once(lambda: self._uploaded(upload))
        asked = self.body(DatasetRequest)
        create = next(create for source, create in _CREATE.items() if source in asked)
        return self.create_once(lambda: dataset_json(create(actor=self.actor, **asked)))

    def _uploaded(self, asked: dict[str, Any]) -> dict[str, Any]:
        made = dataset_create_from_upload(actor=self.actor, filename=asked["file"].name, **asked)
        return dataset_json(made)


class DatasetView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "PATCH": Rule.EDITOR, "DELETE": Rule.EDITOR}

    @operation("dataset_get", "One dataset, with its columns", answer=Dataset)
    def get(self, request: Request, project: str, name: str) -> Response:
        return Response(dataset_json(dataset_get(actor=self.actor, name=name)))

    @operation(
        "dataset_update",
        "Change description, tags or label",
        request=DatasetPatch,
        answer=Dataset,
        examples=[example("Another label", {"label": "Species"})],
    )
    def patch(self, request: Request, project: str, name: str) -> Response:
        return Response(dataset_json(dataset_update(actor=self.actor, name=name, **self.body(DatasetPatch))))

    @operation("dataset_delete", "Delete a dataset with all its versions", status=204, errors=[409])
    def delete(self, request: Request, project: str, name: str) -> Response:
        dataset_delete(actor=self.actor, name=name)
        return Response(status=204)


class DatasetSplitView(ApiView):
    tag = TAG
    access = {"POST": Rule.EDITOR}

    @operation(
        "dataset_split",
        "Split into new datasets, as scikit-learn's train_test_split does",
        request=SplitRequest,
        answer=listed(DatasetSummary),
        status=201,
        idempotent=True,
        examples=[example("Three quarters and one", {"fractions": {"train": 0.75, "test": 0.25}, "seed": 0})],
    )
    def post(self, request: Request, project: str, name: str) -> Response:
        """Each part becomes the dataset `<name>-<part>`."""
        asked = self.body(SplitRequest)
        version = asked.pop("version", None)
        reference = name if version is None else f"{name}@{version}"
        return self.create_once(lambda: _parts_json(dataset_split(actor=self.actor, name=reference, **asked)))


class DatasetVersionListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "POST": Rule.EDITOR}
    parser_classes = [StrictJSONParser, UploadParser]

    @operation("dataset_version_list", "Versions, the newest first", answer=listed(DatasetVersion))
    def get(self, request: Request, project: str, name: str) -> Response:
        dataset = dataset_get(actor=self.actor, name=name)
        return list_response([version_json(version) for version in dataset_versions(dataset=dataset)])

    @operation(
        "dataset_version_create",
        "Upload a new version",
        request={_MULTIPART: VersionUpload, "application/json": VersionRequest},
        answer=DatasetVersion,
        status=201,
        idempotent=True,
    )
    def post(self, request: Request, project: str, name: str) -> Response:
        """The label stays the column of that name unless another one is given."""
        if not request.content_type.startswith(_MULTIPART):
            of_upload = self.body(VersionRequest)
            return self.create_once(
                lambda: version_json(dataset_version_add_resumable(actor=self.actor, name=name, **of_upload))
            )
        asked = self.body(VersionUpload)
        filename = asked["file"].name
        return self.create_once(
            lambda: version_json(dataset_version_add(actor=self.actor, name=name, filename=filename, **asked))
        )


def _parts_json(parts: list[StoredDataset]) -> dict[str, Any]:
    return {"items": [dataset_summary_json(part) for part in parts], "next": None, "count": len(parts)}
