"""Static files without a build or collect step: ours and those inside installed packages.

An address is `/static/v-<digest>/<path>`: the digest of all of them stands before the path, so that a relative
import in a module and a `url()` in a style sheet stay below it, and every answer may be cached for ever. The web
process answers them itself, before Django's request stack (`AssetsApplication`); the URL pattern does so for the
test server.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import importlib.util
import mimetypes
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.finders import BaseFinder
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage
from django.http import HttpRequest, HttpResponse

PACKAGE_FILES = {"plotly/plotly.min.js": ("plotly", "package_data/plotly.min.js")}
_VERSIONED_PACKAGES = (
    "django",
    "django-ace",
    "django-htmx",
    "plotly",
    "djangorestframework",
    "drf-spectacular-sidecar",
    "lucide",
)
_ADDRESS = re.compile(r"(?:v-(?P<digest>[0-9a-f]{12})/)?(?P<path>[^\0]+)")
_COMPRESSED = ("text/", "application/json", "image/svg+xml", "application/javascript")
_COMPRESS_FROM_BYTES = 1024

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApplication = Callable[[Any, Any, Any], Awaitable[None]]


class PackageAssetsFinder(BaseFinder):
    """Finds files inside installed packages that ship no `static` folder: plotly's script."""

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        found = _package_file(path)
        if find_all:
            return [str(found)] if found else []
        return str(found) if found else None

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, FileSystemStorage]]:
        for path, (package, inside) in PACKAGE_FILES.items():
            folder = _package_folder(package)
            storage = FileSystemStorage(location=str((folder / inside).parent))
            storage.prefix = path.rpartition("/")[0]  # type: ignore[attr-defined]
            yield Path(inside).name, storage


class VersionedStorage(StaticFilesStorage):
    """Gives static files their address with the digest in it."""

    def url(self, name: str | None) -> str:
        return f"{settings.STATIC_URL}v-{assets_digest()}/{name}"


@dataclass(frozen=True)
class Asset:
    """A file ready to be sent. `packed` is its gzip form, or None where that saves nothing."""

    body: bytes
    packed: bytes | None
    content_type: str
    etag: str


def asset_get(address: str) -> tuple[Asset, bool] | None:
    """The file at `address` (below `/static/`) and whether the answer may be kept for ever; None if there is none."""
    match = _ADDRESS.fullmatch(address)
    found = _find(match["path"]) if match else None
    if match is None or found is None:
        return None
    asset = _asset(str(found), found.stat().st_mtime_ns)
    return asset, match["digest"] == assets_digest()


def asset_view(request: HttpRequest, address: str) -> HttpResponse:
    """The face of `asset_get` for Django's own handlers (the test server)."""
    status, headers, body = _answer(
        address,
        accepts_gzip="gzip" in request.headers.get("Accept-Encoding", ""),
        known=request.headers.get("If-None-Match", ""),
    )
    response = HttpResponse(body, status=status)
    for name, value in headers.items():
        response[name] = value
    return response


class AssetsApplication:
    """Answers `/static/` itself and hands everything else to `inner`."""

    def __init__(self, inner: AsgiApplication) -> None:
        self._inner = inner
        self._prefix = settings.STATIC_URL

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if (
            scope["type"] != "http"
            or not path.startswith(self._prefix)
            or scope["method"] not in {"GET", "HEAD"}
        ):
            await self._inner(scope, receive, send)
            return
        asked = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        # In a thread: packing plotly's script for the first time takes a third of a second.
        status, headers, body = await asyncio.to_thread(
            _answer,
            path[len(self._prefix) :],
            accepts_gzip="gzip" in asked.get(b"accept-encoding", ""),
            known=asked.get(b"if-none-match", ""),
        )
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def assets_digest() -> str:
    """Twelve hexadecimal characters that change with any of our files and with any package that brings some."""
    return _digest_now() if settings.DEBUG else _digest_once()


def our_folders() -> list[Path]:
    """Every folder of static files that is part of the platform itself, not of an installed package."""
    root = Path(settings.BASE_DIR) / "mlplatform"
    of_apps = [Path(app.path) / "static" for app in apps.get_app_configs()]
    ours = [folder for folder in of_apps if folder.is_relative_to(root) and folder.is_dir()]
    return [*map(Path, settings.STATICFILES_DIRS), *ours]


def _answer(address: str, *, accepts_gzip: bool, known: str) -> tuple[int, dict[str, str], bytes]:
    found = asset_get(address)
    if found is None:
        return 404, {"Content-Type": "text/plain", "Content-Length": "9"}, b"Not found"
    asset, forever = found
    headers = {
        "Content-Type": asset.content_type,
        "Cache-Control": "public, max-age=31536000, immutable" if forever else "no-cache",
        "ETag": asset.etag,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if known and asset.etag in known:
        return 304, headers, b""
    body = asset.body
    if accepts_gzip and asset.packed is not None:
        headers["Content-Encoding"] = "gzip"
        body = asset.packed
    headers["Content-Length"] = str(len(body))
    return 200, headers, body


def _find(path: str) -> Path | None:
    try:
        found = finders.find(path)
    except SuspiciousFileOperation:
        return None
    return Path(str(found)) if found and Path(str(found)).is_file() else None


@lru_cache(maxsize=512)
def _asset(path: str, mtime_ns: int) -> Asset:
    body = Path(path).read_bytes()
    content_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
    worth = len(body) >= _COMPRESS_FROM_BYTES and content_type.startswith(_COMPRESSED)
    packed = gzip.compress(body, compresslevel=6, mtime=0) if worth else None
    if content_type.startswith("text/") or content_type == "application/javascript":
        content_type += "; charset=utf-8"
    return Asset(body, packed, content_type, f'"{hashlib.sha256(body).hexdigest()[:20]}"')


@lru_cache(maxsize=1)
def _digest_once() -> str:
    return _digest_now()


def _digest_now() -> str:
    digest = hashlib.sha256()
    for package in _VERSIONED_PACKAGES:
        digest.update(f"{package} {metadata.version(package)}\n".encode())
    for folder in our_folders():
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(file.relative_to(folder).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _package_file(path: str) -> Path | None:
    if path not in PACKAGE_FILES:
        return None
    package, inside = PACKAGE_FILES[path]
    found = _package_folder(package) / inside
    return found if found.is_file() else None


def _package_folder(package: str) -> Path:
    """Where a package lies, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the package {package} is not installed; see requirements/base.in")
    return Path(spec.origin).parent
