"""Pages of datasets that only read: list, one dataset with its tabs, download."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from jobs.data.sample_list import SAMPLES
from jobs.models import DatasetVersion
from jobs.selectors.datasets import (
    dataset_download,
    dataset_get,
    dataset_list,
    dataset_profile,
    dataset_uses,
    dataset_version_get,
    dataset_versions,
)
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import NotFound
from mlplatform.core.people.access import Actor
from mlplatform.web.access import page_actor
from mlplatform.web.charts.scatter_matrix import scatter_matrix
from mlplatform.web.forms.datasets import SplitForm
from mlplatform.web.rendering import page_response
from mlplatform.web.shortlist import search_text, short_list

COLUMNS_SHOWN = 200
PREVIEW_COLUMNS_SHOWN = 60
_COLUMN_ORDERS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "position": lambda column: column["position"],
    "name": lambda column: column["name"],
    "missing": lambda column: column["missing"],
    "distinct": lambda column: column["distinct"],
    "std": lambda column: column["std"],
}


@require_GET
def dataset_list_page(request: HttpRequest, project: str) -> HttpResponse:
    page = dataset_list(
        actor=page_actor(request, project),
        search=search_text(request.GET),
        order=request.GET.get("order") or "-created",
        cursor=request.GET.get("cursor"),
    )
    context = {"page": page, "filtered": bool(request.GET.get("search")), "samples": SAMPLES}
    return page_response(request, "datasets/list.html", context)


@require_GET
def dataset_detail(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    number = request.GET.get("version", "")
    version = dataset_version_get(actor=actor, reference=f"{name}@{number}" if number else name)
    tab = request.GET.get("tab", "overview")
    found = tab if tab in _TABS else "overview"
    context = {
        "dataset": version.dataset,
        "version": version,
        "is_latest": version.pk == version.dataset.latest_id,
        "tab": found,
        "tabs": tab_titles(actor),
        "test_name": _test_counterpart(actor, name),
        **_TABS[found](request, actor, version),
    }
    return page_response(request, "datasets/detail.html", context)


@require_GET
def dataset_download_file(request: HttpRequest, project: str, name: str) -> HttpResponseBase:
    actor = page_actor(request, project)
    number = request.GET.get("version", "")
    found = dataset_download(actor=actor, reference=f"{name}@{number}" if number else name)
    return DownloadResponse(
        found.chunks, filename=found.filename, size_bytes=found.size_bytes, content_type=found.content_type
    )


def tab_titles(actor: Actor) -> list[tuple[str, str]]:
    """The tabs of a dataset's page, in order; who may not edit has none to split it."""
    titles = [
        ("overview", _("Overview")),
        ("preview", _("Preview")),
        ("charts", _("Scatter matrix")),
        ("versions", _("Versions")),
        ("lineage", _("Lineage")),
        ("split", _("Split")),
    ]
    return titles if actor.may_edit else titles[:-1]


def _overview(request: HttpRequest, actor: Actor, version: DatasetVersion) -> dict[str, Any]:
    profile = dataset_profile(actor=actor, reference=str(version))
    label = profile["schema"]["label"]
    columns = [
        column | {"position": place, "is_label": place == label, "summary": _histogram_words(column)}
        for place, column in enumerate(profile["columns"])
    ]
    found = short_list(
        columns, request.GET, orders=_COLUMN_ORDERS, default="position", text=lambda column: column["name"]
    )
    return {
        "columns": found,
        "shown_columns": found.items[:COLUMNS_SHOWN],
        "n_hidden": max(len(found.items) - COLUMNS_SHOWN, 0),
        "label_mapping": sorted(
            (profile["schema"].get("label_mapping") or {}).items(), key=lambda pair: pair[1]
        ),
    }


def _preview(request: HttpRequest, actor: Actor, version: DatasetVersion) -> dict[str, Any]:
    profile = dataset_profile(actor=actor, reference=str(version))
    names = profile["schema"]["columns"][:PREVIEW_COLUMNS_SHOWN]
    types = profile["schema"]["types"]
    return {
        "preview_columns": list(zip(names, types, strict=False)),
        "preview_rows": [row[:PREVIEW_COLUMNS_SHOWN] for row in profile["preview"]],
        "label_position": profile["schema"]["label"],
        "n_hidden": max(len(types) - PREVIEW_COLUMNS_SHOWN, 0),
    }


def _charts(request: HttpRequest, actor: Actor, version: DatasetVersion) -> dict[str, Any]:
    return {"matrix": scatter_matrix(dataset_profile(actor=actor, reference=str(version)))}


def _versions(request: HttpRequest, actor: Actor, version: DatasetVersion) -> dict[str, Any]:
    return {"versions": dataset_versions(dataset=version.dataset)}


def _lineage(request: HttpRequest, actor: Actor, version: DatasetVersion) -> dict[str, Any]:
    uses = dataset_uses(dataset=version.dataset)
    prefetch_related_objects(uses, "job__models")
    children = version.children.select_related("dataset").exclude(dataset=version.dataset)
    return {"uses": uses, "children": list(children)}


def _split(request: HttpRequest, actor: Actor, version: DatasetVersion) -> dict[str, Any]:
    return {"form": SplitForm()}


_TABS: Mapping[str, Callable[[HttpRequest, Actor, DatasetVersion], dict[str, Any]]] = {
    "overview": _overview,
    "preview": _preview,
    "charts": _charts,
    "versions": _versions,
    "lineage": _lineage,
    "split": _split,
}


def _test_counterpart(actor: Actor, name: str) -> str:
    """The name of the test part of a split's train part, if there is one."""
    if not name.endswith("-train"):
        return ""
    other = f"{name.removesuffix('-train')}-test"
    try:
        dataset_get(actor=actor, name=other)
    except NotFound:
        return ""
    return other


def _histogram_words(column: Mapping[str, Any]) -> str:
    """The small histogram for those who do not see it, and on hover."""
    histogram = column.get("histogram") or {}
    counts = histogram.get("counts") or []
    if not counts:
        return ""
    if histogram.get("values"):
        shown = [f"{value}: {n}" for value, n in zip(histogram["values"], counts, strict=False)][:12]
        return ", ".join(shown) + (", …" if len(counts) > len(shown) else "")
    place = counts.index(max(counts))
    low, high = histogram["edges"][place], histogram["edges"][place + 1]
    return _("%(n)s of the values lie between %(low)s and %(high)s, the fullest of %(bins)s bars") % {
        "n": counts[place],
        "low": f"{low:.4g}",
        "high": f"{high:.4g}",
        "bins": len(counts),
    }
