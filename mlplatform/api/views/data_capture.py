"""Data capture of an endpoint: read and change its switch, list and download what was captured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.selectors.data_capture import (
    captured_file_chunks,
    captured_file_get,
    captured_file_list,
    data_capture_of,
)
from endpoints.selectors.endpoints import endpoint_get
from endpoints.services.data_capture import data_capture_update
from mlplatform.api.auth import Rule
from mlplatform.api.base import AnyAccept, ApiView, page_response
from mlplatform.api.presenters.data_capture import captured_file_json, data_capture_json
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.data_capture import (
    CapturedFile,
    CapturedFileQuery,
    DataCapture,
    DataCaptureRequest,
)
from mlplatform.api.serializers.lists import listed
from mlplatform.core.downloads import DownloadResponse

TAG = "endpoints"


class DataCaptureView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "PUT": Rule.EDITOR}

    @operation("data_capture_get", "What is captured of an endpoint's requests", answer=DataCapture)
    def get(self, request: Request, project: str, name: str) -> Response:
        endpoint = endpoint_get(actor=self.actor, name=name)
        return Response(data_capture_json(endpoint, data_capture_of(endpoint=endpoint)))

    @operation(
        "data_capture_update",
        "Switch data capture on or off, or change it, without deploying anything",
        request=DataCaptureRequest,
        answer=DataCapture,
        errors=[409],
        examples=[
            example("A fifth of the requests", {"enabled": True, "sampling_percentage": 20}),
            example("Off", {"enabled": False}),
        ],
    )
    def put(self, request: Request, project: str, name: str) -> Response:
        """Holds for requests that arrive a moment later. Successful answers are captured, as JSON Lines below
        `<destination>/<endpoint>/<variant>/yyyy/mm/dd/hh/`; they are in the store about a minute later.
        """
        capture = data_capture_update(
            actor=self.actor, endpoint=name, **capture_fields(self.body(DataCaptureRequest))
        )
        return Response(data_capture_json(capture.endpoint, capture))


class CapturedFileListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation(
        "captured_file_list",
        "Files with captured requests",
        answer=listed(CapturedFile),
        query=CapturedFileQuery,
    )
    def get(self, request: Request, project: str, name: str) -> Response:
        asked = self.query(CapturedFileQuery)
        page = captured_file_list(
            actor=self.actor,
            endpoint=name,
            variant=asked.get("variant", ""),
            order=asked["order"],
            limit=asked["limit"],
            cursor=asked["cursor"],
        )
        return page_response(page, captured_file_json)


class CapturedFileView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "captured_file_get",
        "Captured requests of one file, as JSON Lines",
        answer={"type": "string", "format": "binary"},
        media_types=["application/jsonlines"],
    )
    def get(self, request: Request, project: str, name: str, uid: str) -> HttpResponseBase:
        file = captured_file_get(actor=self.actor, endpoint=name, uid=uid)
        return DownloadResponse(
            captured_file_chunks(file=file),
            filename=file.uri.rsplit("/", 1)[1],
            size_bytes=file.size_bytes,
            content_type="application/jsonlines",
        )


def capture_fields(asked: Mapping[str, Any]) -> dict[str, Any]:
    """As the service names them."""
    names = {"enabled": "is_on", "sampling_percentage": "sampling_percent"}
    return {names.get(name, name): value for name, value in asked.items()}
