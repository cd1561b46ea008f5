"""Request bodies: JSON within limits of size and depth, and uploads that end at the size limit.

Used by `mlplatform.api.base.ApiView`; views read `request.data` as ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any
from urllib.parse import quote, unquote

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http.multipartparser import MultiPartParser as DjangoMultiPartParser
from django.http.multipartparser import MultiPartParserError
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, DataAndFiles, JSONParser, MultiPartParser

from mlplatform.core.errors import FieldError, TooLarge

JSON_DEPTH_MAX = 32
_FORM_OVERHEAD_BYTES = 1024 * 1024
_NAME_MAX = 255


class StrictJSONParser(JSONParser):
    """JSON as RFC 8259 has it: UTF-8, no NaN, no name twice; limited in depth and size."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge(f"The body is larger than {limit:,} bytes")
        try:
            value = json.loads(
                body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer
            )
        except RecursionError:
            raise ParseError(_too_deep()) from None
        except UnicodeDecodeError as error:
            raise ParseError(f"JSON: byte {error.start} is not UTF-8") from None
        except ValueError as error:
            raise ParseError(f"JSON: {error}") from None
        if _deeper_than(value, JSON_DEPTH_MAX):
            raise ParseError(_too_deep())
        return value


class AnyBodyParser(BaseParser):
    """Leaves the body alone, whatever its type: for invocations, whose content is the model's affair."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return {}


class UploadParser(MultiPartParser):
    """multipart/form-data; the parts with files lie on disk when the view sees them."""


class PathUploadParser(UploadParser):
    """As that, of a form whose files may have a path as their name: `upload_path` tells it."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        assert parser_context is not None
        request = parser_context["request"]
        meta = request.META | {"CONTENT_TYPE": media_type}
        encoding = parser_context.get("encoding", settings.DEFAULT_CHARSET)
        try:
            body: Any = stream
            data, files = _PathParser(meta, body, request.upload_handlers, encoding).parse()
        except MultiPartParserError as error:
            raise ParseError(f"multipart form: {error}") from None
        return DataAndFiles(data, files)


def upload_path(file: Any) -> str:
    """The path of an uploaded file in its folder, `/` between its parts."""
    return unquote(str(file.name))


class _PathParser(DjangoMultiPartParser):
    """Django keeps the last part of a file's name only, so that the whole is hidden from it."""

    def sanitize_file_name(self, file_name: str) -> str:
        hidden = quote(file_name, safe="")
        if len(hidden) > _NAME_MAX:
            raise MultiPartParserError(f"the name of a file is too long: {file_name[:80]!r}")
        return hidden


class LimitedUploadHandler(TemporaryFileUploadHandler):
    """Writes an upload to the staging folder and ends it at the size limit, before the disk is full."""

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: Any = None
    ) -> None:
        limit = settings.MLPLATFORM_UPLOAD_LIMIT_BYTES
        if content_length > limit + _FORM_OVERHEAD_BYTES:
            raise _upload_too_large()

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.n_bytes = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.n_bytes += len(raw_data)
        if self.n_bytes > settings.MLPLATFORM_UPLOAD_LIMIT_BYTES:
            self.file.close()
            raise _upload_too_large()
        super().receive_data_chunk(raw_data, start)


def _upload_too_large() -> TooLarge:
    limit = settings.MLPLATFORM_UPLOAD_LIMIT_BYTES
    return TooLarge(
        f"file: the upload is larger than {limit:,} bytes",
        errors=[FieldError("file", f"over {limit:,} bytes")],
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:60]!r} occurs twice in one object")
    return found


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON value")


def _integer(text: str) -> int:
    if len(text) > 40:
        raise ValueError("a number has more than 40 digits")
    return int(text)


def _deeper_than(value: Any, limit: int) -> bool:
    level: Iterable[Any] = [value]
    for _ in range(limit + 1):
        level = [inner for item in level for inner in _children(item)]
        if not level:
            return False
    return True


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> str:
    return f"JSON: nested deeper than {JSON_DEPTH_MAX} levels"
