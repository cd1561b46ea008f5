"""What is in a dataset: preview, profile, the file itself; of the newest version or of `?version=`."""

from __future__ import annotations

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.selectors.datasets import dataset_download, dataset_preview, dataset_profile
from mlplatform.api.auth import Rule
from mlplatform.api.base import AnyAccept, ApiView
from mlplatform.api.presenters.datasets import preview_json
from mlplatform.api.schema import operation
from mlplatform.api.schema_parts import BINARY
from mlplatform.api.serializers.datasets import Preview, Profile, VersionQuery
from mlplatform.core.downloads import DownloadResponse

TAG = "datasets"
FILE_TYPES = ["text/csv", "application/x-parquet", "application/jsonlines"]


class DatasetContentView(ApiView):
    """Base of the views of one version."""

    tag = TAG
    access = {"GET": Rule.VIEWER}

    def reference(self) -> str:
        """`name`, or `name@version`."""
        version = self.query(VersionQuery).get("version")
        name = str(self.kwargs["name"])
        return name if version is None else f"{name}@{version}"


class DatasetPreviewView(DatasetContentView):
    @operation("dataset_preview", "The first rows, as text", answer=Preview, query=VersionQuery)
    def get(self, request: Request, project: str, name: str) -> Response:
        return Response(preview_json(dataset_preview(actor=self.actor, reference=self.reference())))


class DatasetProfileView(DatasetContentView):
    @operation("dataset_profile", "Statistics of every column", answer=Profile, query=VersionQuery)
    def get(self, request: Request, project: str, name: str) -> Response:
        return Response(dataset_profile(actor=self.actor, reference=self.reference()))


class DatasetDownloadView(DatasetContentView):
    content_negotiation_class = AnyAccept

    @operation(
        "dataset_download",
        "The file as it was uploaded",
        answer=BINARY,
        query=VersionQuery,
        media_types=FILE_TYPES,
    )
    def get(self, request: Request, project: str, name: str) -> HttpResponseBase:
        found = dataset_download(actor=self.actor, reference=self.reference())
        return DownloadResponse(
            found.chunks,
            filename=found.filename,
            size_bytes=found.size_bytes,
            content_type=found.content_type,
        )
