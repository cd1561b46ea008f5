"""Every list of the platform, found by walking its URL table: pages, REST and console, with whatever each may be asked.

Used by the test that counts their queries and by `benchmarks.lists_at_scale`, so that a new list is in both by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from django.core import signing
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from rest_framework import serializers

SEARCHED: Final = "7"
"""Looked for in every list: found in many names."""
OF_ONE_THING: Final = {
    "/projects/{project}/tuning-jobs/{tuning_job}/?tab=trials": "the trials of a tuning job",
    "/projects/{project}/endpoints/{endpoint}/async/": "the asynchronous requests of an endpoint",
    "/projects/{project}/datasets/{dataset}/?tab=versions": "the versions of a dataset",
    "/projects/{project}/endpoints/{endpoint}/lives/": "the lives of an endpoint's model servers",
}
"""Pages below one thing that show a list of others; the walk cannot know them from pages of one thing alone."""
NO_LISTS: Final = {"audit/download/", "compare/+curves/", "compare/+download/", "training-jobs/+metric-test/"}
"""Addresses of a project that are fragments of forms, or files."""


class Face(StrEnum):
    PAGE = "page"
    REST = "REST"
    CONSOLE = "console"


@dataclass(frozen=True)
class ListAddress:
    """`path` has places such as `{project}`; `queries` are what a caller may ask a REST list for."""

    face: Face
    path: str
    queries: tuple[Mapping[str, str], ...] = ()


def list_addresses() -> list[ListAddress]:
    """All of them, by address."""
    routes = dict(_routes(get_resolver().url_patterns, "/"))
    found = [address for path, callback in routes.items() if (address := _of_route(path, callback))]
    found += [ListAddress(Face.PAGE, path) for path in OF_ONE_THING]
    return sorted(found, key=lambda one: (one.face, one.path))


def queries_offered(html: str) -> list[dict[str, str]]:
    """What a list's page lets a visitor ask for: a search, each choice of each filter, each order."""
    page = _Page()
    page.feed(html)
    found = [{"search": SEARCHED}] if "search" in page.inputs else []
    found += [{name: value} for name, value in dict.fromkeys(page.choices) if value]
    for link in dict.fromkeys(page.links):
        asked = dict(parse_qsl(link.partition("?")[2]))
        if set(asked) == {"order"} and link.startswith("?"):
            found += [{"order": asked["order"].lstrip("-")}, {"order": "-" + asked["order"].lstrip("-")}]
    return [dict(one) for one in dict.fromkeys(tuple(sorted(query.items())) for query in found)]


def next_cursor(html: str) -> str:
    """The cursor of the page after this one; empty where there is none."""
    page = _Page()
    page.feed(html)
    return next(
        (
            asked["cursor"]
            for link in page.links
            if (asked := dict(parse_qsl(link.partition("?")[2]))).get("cursor")
        ),
        "",
    )


def deep_cursor(cursor: str, oldest: datetime) -> str:
    """A cursor from the middle of a list that is ordered by time or number, whose last row is from `oldest`."""
    order, value, pk = signing.loads(cursor, salt="cursor")
    if isinstance(value, int):
        value //= 2
    elif isinstance(value, str) and (at := _instant(value)) is not None:
        value = (oldest + (at - oldest) / 2).isoformat()
    return signing.dumps([order, value, pk], salt="cursor", compress=True)


def address_of(path: str, query: Mapping[str, str] | None = None) -> str:
    """`path` with `query` added to what it asks already."""
    if not query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query)}"


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _routes(patterns: list[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for one in patterns:
        if not isinstance(one.pattern, RoutePattern):
            continue
        path = prefix + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(one.pattern))
        if isinstance(one, URLResolver):
            yield from _routes(one.url_patterns, path)
        elif isinstance(one, URLPattern):
            yield path, one.callback


def _of_route(path: str, callback: Any) -> ListAddress | None:
    if path.startswith("/api/v1/"):
        operation = getattr(getattr(getattr(callback, "view_class", None), "get", None), "operation", None)
        if operation is None or not _is_listed(operation.answer):
            return None
        return ListAddress(Face.REST, path, tuple(_asked(operation.query)))
    if path.startswith("/admin/"):
        is_changelist = getattr(callback, "__name__", "") == "changelist_view"
        return ListAddress(Face.CONSOLE, path) if is_changelist else None
    below = path.removeprefix("/projects/{project}/")
    if below == path or "{" in below or "+new" in below or below in NO_LISTS:
        return None
    return ListAddress(Face.PAGE, path)


def _is_listed(answer: Any) -> bool:
    fields = getattr(answer, "_declared_fields", {})
    return set(fields) == {"items", "next", "count"}


def _asked(query: Any) -> Iterator[dict[str, str]]:
    """Each filter, each choice of it, each order, and a search."""
    if query is None:
        return
    for name, field in query().fields.items():
        if name == "search":
            yield {"search": SEARCHED}
        elif isinstance(field, serializers.ChoiceField):
            yield from ({name: str(choice)} for choice in field.choices if choice != "")


class _Page(HTMLParser):
    """Links, names of inputs and choices of the selects of a page's search form."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.inputs: set[str] = set()
        self.choices: list[tuple[str, str]] = []
        self._in_search = False
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "form":
            self._in_search = given.get("method", "get").lower() == "get" and "toolbar" in given.get(
                "class", ""
            )
        elif tag == "input" and self._in_search:
            self.inputs.add(given.get("name", ""))
        elif tag == "select" and self._in_search:
            self._select = given.get("name", "")
        elif tag == "option" and self._select:
            self.choices.append((self._select, given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in_search = False
        elif tag == "select":
            self._select = ""
