"""Static files: ours and those of packages, cached for ever under an address that changes with them."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
from django.templatetags.static import static
from django.test import Client

from mlplatform.web.assets import AssetsApplication, asset_get, assets_digest, our_folders


def answered(
    path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """What the ASGI wrapper sends for a request; `inner` says so where it hands the request on."""
    sent: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"inner"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "path": path, "method": method, "headers": raw}
    asyncio.run(AssetsApplication(inner)(scope, receive, send))
    start, body = sent
    return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, body["body"]


@pytest.mark.parametrize(
    "path",
    [
        "css/tokens.css",
        "js/main.js",
        "plotly/plotly.min.js",
        "django_htmx/htmx-2.min.js",
        "django_ace/ace/ace.js",
        "django_ace/ace/css/ace.css",
        "admin/css/base.css",
        "api/docs.css",
        "api/theme.js",
    ],
)
def test_files_of_ours_and_of_packages_are_answered_and_may_be_kept_for_ever(path: str) -> None:
    status, headers, body = answered(static(path))
    assert status == 200
    assert "immutable" in headers["cache-control"]
    assert len(body) == int(headers["content-length"]) > 0


def test_an_address_without_or_with_an_old_digest_is_answered_but_not_kept() -> None:
    for address in ("/static/css/tokens.css", "/static/v-000000000000/css/tokens.css"):
        status, headers, _ = answered(address)
        assert (status, headers["cache-control"]) == (200, "no-cache")


def test_a_browser_that_takes_gzip_gets_it_and_one_that_does_not_gets_the_file() -> None:
    _, plain_headers, plain = answered(static("css/tokens.css"))
    _, packed_headers, packed = answered(static("css/tokens.css"), headers={"Accept-Encoding": "gzip, br"})
    assert "content-encoding" not in plain_headers
    assert packed_headers["content-encoding"] == "gzip"
    assert len(packed) < len(plain)
    assert gzip.decompress(packed) == plain


def test_a_file_that_the_browser_has_is_not_sent_again() -> None:
    _, headers, _ = answered(static("css/tokens.css"))
    status, _, body = answered(static("css/tokens.css"), headers={"If-None-Match": headers["etag"]})
    assert (status, body) == (304, b"")


def test_head_is_answered_without_a_body() -> None:
    status, headers, body = answered(static("css/tokens.css"), method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize(
    "path", ["../manage.py", "css/../../manage.py", "/etc/passwd", "css", "nothing.js", "css/\0"]
)
def test_nothing_outside_the_static_folders_can_be_read(path: str) -> None:
    assert asset_get(path) is None
    assert answered(f"/static/{path}")[0] == 404
    assert asset_get(f"v-{assets_digest()}/{path}") is None


def test_everything_else_is_handed_on() -> None:
    assert answered("/projects/")[0] == 299
    assert answered("/static/css/tokens.css", method="POST")[0] == 299


def test_the_test_server_answers_static_files_by_the_same_function() -> None:
    response = Client().get(static("js/main.js"))
    assert response.status_code == 200
    assert response["Content-Type"].startswith(("text/javascript", "application/javascript"))
    assert Client().get("/static/nothing.js").status_code == 404


def test_no_script_or_style_of_ours_names_another_host() -> None:
    for folder in our_folders():
        for file in folder.rglob("*"):
            if file.suffix in {".js", ".css"}:
                text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
                assert "http://" not in text and "https://" not in text, file


def test_the_address_changes_with_every_file_of_ours_those_of_an_application_too() -> None:
    names = {file.relative_to(folder).as_posix() for folder in our_folders() for file in folder.rglob("*")}
    assert {"js/main.js", "css/tokens.css", "api/docs.js", "api/docs.css", "api/theme.js"} <= names
    assert not any(name.startswith(("admin/", "rest_framework/")) for name in names)
