"""Resumable uploads by the tus protocol, version 1.0.0: creation, expiration and termination beside its core.

A dataset is then made of one by its id. Bytes are received after the view has answered (`mlplatform.core.late_body`).
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from mlplatform.api.auth import Rule
from mlplatform.api.base import AnyAccept, ApiView, list_response
from mlplatform.api.parsers import AnyBodyParser
from mlplatform.api.presenters.uploads import upload_headers, upload_json
from mlplatform.api.schema import operation
from mlplatform.api.schema_parts import BINARY
from mlplatform.api.serializers.lists import listed
from mlplatform.api.serializers.uploads import (
    LENGTH,
    METADATA,
    OFFSET,
    VERSION,
    ResumableUpload,
)
from mlplatform.core.errors import InvalidRequest, PreconditionFailed, UnsupportedMediaType
from mlplatform.core.late_body import MEDIA_TYPE, body_to
from mlplatform.core.text import text as _
from mlplatform.core.uploads.services import (
    upload_append,
    upload_create,
    upload_delete,
    upload_get,
    upload_list,
)

TAG = "uploads"
TUS_VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,termination"


class TusView(ApiView):
    """Base: the version of the protocol is checked, and told with every answer."""

    tag = TAG
    parser_classes = [AnyBodyParser]
    content_negotiation_class = AnyAccept

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        version = request.headers.get(VERSION, TUS_VERSION)
        if version != TUS_VERSION:
            raise PreconditionFailed(
                _(
                    "Tus-Resumable: {version} is not spoken here; {spoken} is",
                    version=version[:20],
                    spoken=TUS_VERSION,
                )
            )

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer[VERSION] = answer["Tus-Version"] = TUS_VERSION
        return answer


class UploadListView(TusView):
    access = {"GET": Rule.VIEWER, "POST": Rule.EDITOR}

    @operation(
        "upload_list", "The caller's own unfinished uploads, the oldest first", answer=listed(ResumableUpload)
    )
    def get(self, request: Request, project: str) -> Response:
        """The headers `Tus-Extension` and `Tus-Max-Size` say what is spoken and how long an upload may be."""
        answer = list_response([upload_json(upload) for upload in upload_list(actor=self.actor)])
        answer["Tus-Extension"] = EXTENSIONS
        answer["Tus-Max-Size"] = str(settings.MLPLATFORM_UPLOAD_LIMIT_BYTES)
        return answer

    @operation(
        "upload_create",
        "Announce an upload",
        answer=ResumableUpload,
        status=201,
        errors=[400, 412, 413, 507],
    )
    def post(self, request: Request, project: str) -> Response:
        """Headers: `Upload-Length`, and `Upload-Metadata: filename <Base64>`. `Location` says where the bytes go."""
        upload = upload_create(
            actor=self.actor,
            length=_whole_number(request, LENGTH),
            filename=_filename(request.headers.get(METADATA, "")),
        )
        answer = Response(upload_json(upload), status=201, headers=upload_headers(upload))
        answer["Location"] = reverse("api:upload-detail", kwargs={"project": project, "uid": upload.uid})
        return answer


class UploadView(TusView):
    access = {"GET": Rule.VIEWER, "PATCH": Rule.EDITOR, "DELETE": Rule.EDITOR}

    @operation("upload_get", "One upload, and how much of it has come", answer=ResumableUpload, errors=[412])
    def get(self, request: Request, project: str, uid: str) -> Response:
        upload = upload_get(actor=self.actor, uid=uid)
        return Response(upload_json(upload), headers=upload_headers(upload))

    def head(self, request: Request, project: str, uid: str) -> HttpResponseBase:
        """The same in headers alone."""
        upload = upload_get(actor=self.actor, uid=uid)
        return Response(headers={**upload_headers(upload), "Cache-Control": "no-store"})

    @operation(
        "upload_append",
        "Send bytes of an upload",
        request={MEDIA_TYPE: BINARY},
        status=204,
        errors=[408, 409, 412, 423],
    )
    def patch(self, request: Request, project: str, uid: str) -> Response:
        """As many as you like, from the header `Upload-Offset` on. What came of a request that broke off is kept:
        ask with HEAD where to go on.
        """
        if request.content_type.partition(";")[0].strip().lower() != MEDIA_TYPE:
            raise UnsupportedMediaType(
                _(
                    "Content-Type: {given} is not accepted; use {wanted}",
                    given=request.content_type[:80],
                    wanted=MEDIA_TYPE,
                )
            )
        offset = _whole_number(request, OFFSET)
        upload = upload_get(actor=self.actor, uid=uid)
        answer = Response(status=204, headers=upload_headers(upload))
        reached = body_to(
            _django(request),
            upload_append(actor=self.actor, uid=uid, offset=offset, n_bytes=_n_bytes(request)),
        )
        answer[OFFSET] = str(offset if reached is None else reached)
        return answer

    @operation("upload_delete", "Remove an upload with what has come of it", status=204, errors=[412, 423])
    def delete(self, request: Request, project: str, uid: str) -> Response:
        upload_delete(actor=self.actor, uid=uid)
        return Response(status=204)


def _django(request: Request) -> HttpRequest:
    return request._request


def _whole_number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not text.isascii() or not text.isdecimal() or int(text[:17]) > 2**53 or len(text) > 17:
        raise InvalidRequest.for_field(
            name, _("{value} is not accepted; give the header a number of bytes", value=repr(text[:40]))
        )
    return int(text)


def _n_bytes(request: Request) -> int | None:
    text = request.headers.get("Content-Length") or ""
    return int(text) if text.isdecimal() else None


def _filename(metadata: str) -> str:
    """The value of `filename`; empty where there is none."""
    for pair in metadata.split(","):
        key, _blank, value = pair.strip().partition(" ")
        if key == "filename":
            try:
                return base64.b64decode(value.strip(), validate=True).decode("utf-8")
            except (binascii.Error, UnicodeDecodeError):
                raise InvalidRequest.for_field(
                    METADATA, _("the filename is not Base64 of UTF-8: {value}", value=value[:80])
                ) from None
    return ""
