"""Source code of scripts: take in (files, archive, address), read, download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.models import Source as SourceRow
from jobs.runner.source_files import source_sizes_check
from jobs.selectors.sources import source_archive, source_file, source_get
from jobs.services.sources import source_create, source_create_from_archive, source_create_from_uri
from mlplatform.api.auth import Rule
from mlplatform.api.base import AnyAccept, ApiView
from mlplatform.api.parsers import PathUploadParser, StrictJSONParser, upload_path
from mlplatform.api.presenters.sources import source_json
from mlplatform.api.schema import example, operation
from mlplatform.api.schema_parts import BINARY
from mlplatform.api.serializers.sources import Source, SourceRequest, SourceUpload
from mlplatform.core.downloads import DownloadResponse

TAG = "sources"
_MULTIPART = "multipart/form-data"
_EXAMPLE = {"files": {"train.py": "import os\n\nprint(os.environ['SM_MODEL_DIR'])\n"}}


class SourceListView(ApiView):
    tag = TAG
    access = {"POST": Rule.EDITOR}
    parser_classes = [StrictJSONParser, PathUploadParser]

    @operation(
        "source_create",
        "Take in the source code of a script",
        request={"application/json": SourceRequest, _MULTIPART: SourceUpload},
        answer=Source,
        status=201,
        idempotent=True,
        examples=[example("One file", _EXAMPLE, media_type="application/json")],
    )
    def post(self, request: Request, project: str) -> Response:
        """The same content is the same source: what is there already is answered again. A source that no job, tuning
        job or model refers to is removed after a day.
        """
        if (request.content_type or "").startswith(_MULTIPART):
            return self.create_once(self._uploaded)
        asked = self.body(SourceRequest)
        return self.create_once(lambda: source_json(self._made(asked)))

    def _made(self, asked: dict[str, Any]) -> SourceRow:
        if "uri" in asked:
            return source_create_from_uri(actor=self.actor, uri=asked["uri"])
        return source_create(actor=self.actor, files=asked["files"])

    def _uploaded(self) -> dict[str, Any]:
        asked = self.body(SourceUpload)
        if "archive" in asked:
            path = Path(asked["archive"].temporary_file_path())
            return source_json(source_create_from_archive(actor=self.actor, archive=path))
        source_sizes_check([(upload_path(file), file.size) for file in asked["files"]])
        files = {upload_path(file): file.read() for file in asked["files"]}
        return source_json(source_create(actor=self.actor, files=files))


class SourceView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation("source_get", "One source with its files", answer=Source)
    def get(self, request: Request, project: str, uid: str) -> Response:
        return Response(source_json(source_get(actor=self.actor, uid=uid)))


class SourceFileView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "source_file",
        "One file of a source, as it is",
        answer=BINARY,
        media_types=["application/octet-stream"],
    )
    def get(self, request: Request, project: str, uid: str, path: str) -> HttpResponseBase:
        content = source_file(actor=self.actor, uid=uid, path=path)
        return DownloadResponse([content], filename=Path(path).name, size_bytes=len(content))


class SourceDownloadView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "source_download", "Download sourcedir.tar.gz", answer=BINARY, media_types=["application/gzip"]
    )
    def get(self, request: Request, project: str, uid: str) -> HttpResponseBase:
        chunks, filename, size_bytes = source_archive(actor=self.actor, uid=uid)
        return DownloadResponse(
            chunks, filename=filename, size_bytes=size_bytes, content_type="application/gzip"
        )
