"""One address, two forms: the whole page, or for htmx only the fragment `_name.html` beside the page's template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of the page; a boosted link or a restored history entry wants all of it."""
    htmx = getattr(request, "htmx", None)
    return bool(htmx and not htmx.boosted and not htmx.history_restore_request)


def fragment_target(request: HttpRequest) -> str:
    """The id of the element that htmx asks for; empty where a browser asks for the page."""
    htmx = getattr(request, "htmx", None)
    return str(htmx.target or "") if htmx else ""


def page_response(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """Renders `folder/name.html`, or `folder/_name.html` for a fragment."""
    if wants_fragment(request):
        folder, _, name = template.rpartition("/")
        template = f"{folder}/_{name}"
    response = render(request, template, dict(context), status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def redirect_response(request: HttpRequest, url: str) -> HttpResponse:
    """Sends the browser to `url`, also where a script and not the browser asked."""
    if getattr(request, "htmx", False):
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return HttpResponse(status=303, headers={"Location": url})
