"""The neighbour inspector: a row, its nearest neighbours in the training data, and how the answer changes with k."""

from __future__ import annotations

import csv
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from endpoints.models import Endpoint
from endpoints.selectors.endpoints import endpoint_get, endpoint_sample_row
from endpoints.services.neighbours import Neighbourhood, endpoint_neighbours, knn_variants
from jobs.selectors.datasets import dataset_list
from mlplatform.core.errors import InvalidRequest, PlatformError
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.charts.neighbours import means_figure, votes_figure
from mlplatform.web.dataset_fit import datasets_with_reasons
from mlplatform.web.forms.training_jobs import errors_by_field, folded
from mlplatform.web.neighbour_table import distance_title, neighbour_table
from mlplatform.web.row_files import FORMS, neighbours_file

VALUES_MAX = 60_000


@require_GET
def endpoint_neighbours_page(request: HttpRequest, project: str, name: str) -> HttpResponseBase:
    """The page; with `as` its neighbours as a file, or the page that says why there are none."""
    actor = page_actor(request, project)
    endpoint = endpoint_get(actor=actor, name=name)
    context = _form_context(request, actor, endpoint)
    status = 200
    if context["asked"] and context["variants"]:
        try:
            found = _ask(actor, name, context)
            if request.GET.get("as") in FORMS:
                return _file(request, found)
            context |= _found_context(request, found)
        except PlatformError as error:
            told = translated_error(error)
            status = told.http_status
            context |= {"error": told, "errors": errors_by_field(told.errors)}
    return render(request, "endpoints/neighbours.html", context, status=status)


def _form_context(request: HttpRequest, actor: Actor, endpoint: Endpoint) -> dict[str, Any]:
    variants = knn_variants(endpoint=endpoint)
    dataset, values = request.GET.get("dataset", "")[:80], request.GET.get("values", "")
    return {
        "endpoint": endpoint,
        "tab": "neighbours",
        "inspectable": bool(variants),
        "variants": variants,
        "variant": request.GET.get("variant", "")[:63],
        "datasets": datasets_with_reasons(
            dataset_list(actor=actor, limit=100).items, [one.model for one in variants]
        ),
        "dataset": dataset,
        "dataset_name": dataset.partition("@")[0],
        "row": folded(request.GET.get("row", ""))[:20],
        "values": values or endpoint_sample_row(endpoint=endpoint),
        "feature_names": (variants[0].model.manifest.get("feature_names") or []) if variants else [],
        "asked": bool(dataset or values),
        "errors": {},
    }


def _ask(actor: Actor, name: str, context: dict[str, Any]) -> Neighbourhood:
    """Raises InvalidRequest for what cannot be read, and whatever the service raises."""
    dataset, row, variant = context["dataset"], context["row"], context["variant"] or None
    if not dataset:
        return endpoint_neighbours(actor=actor, name=name, row=_pasted(context["values"]), variant=variant)
    if not (row.isascii() and row.isdecimal()):
        raise InvalidRequest.for_field("row_number", _("“%(value)s” is not a row number") % {"value": row})
    return endpoint_neighbours(actor=actor, name=name, dataset=dataset, row_number=int(row), variant=variant)


def _pasted(values: str) -> list[str]:
    if len(values) > VALUES_MAX:
        raise InvalidRequest.for_field("row", _("is longer than %(n)d characters") % {"n": VALUES_MAX})
    lines = [line for line in values.replace("\t", ",").splitlines() if line.strip()]
    if len(lines) != 1:
        raise InvalidRequest.for_field("row", _("has %(n)d lines; give one row") % {"n": len(lines)})
    return [folded(cell) for cell in next(csv.reader(lines))]


def _file(request: HttpRequest, found: Neighbourhood) -> HttpResponseBase:
    k = _k(request.GET.get("k", ""), len(found.votes))
    place = f"-row-{found.query.number}" if found.query.number else ""
    stem = f"{found.endpoint.name}-neighbours{place}"
    return neighbours_file(found, k=k, stem=stem, form=request.GET["as"])


def _found_context(request: HttpRequest, found: Neighbourhood) -> dict[str, Any]:
    n_votes = len(found.votes)
    k = _k(request.GET.get("k", ""), n_votes)
    vote = found.votes[k - 1]
    number, version = found.query.number, found.query.version
    return {
        "found": found,
        "k": k,
        "n_votes": n_votes,
        "vote": vote,
        "answer": found.label_of(vote),
        "is_right": None if found.true_label is None else found.label_of(vote) == found.true_label,
        "figure": _figure(found, k),
        "figure_words": _words(found),
        "distance_title": distance_title(found.index_metric),
        "own_distance": "–" if found.index_metric == "INNER_PRODUCT" else "0",
        "table": neighbour_table(
            found,
            k=k,
            all_columns=request.GET.get("columns") == "all",
            all_rows=request.GET.get("rows") == "all",
        ),
        "previous": number - 1 if number and number > 1 else None,
        "following": number + 1 if number and version and number < version.n_rows else None,
    }


def _k(text: str, n: int) -> int:
    text = folded(text)
    return max(1, min(int(text), n)) if text.isascii() and text.isdecimal() and len(text) < 9 else n


def _figure(found: Neighbourhood, k: int) -> dict[str, Any]:
    if found.is_classifier:
        return votes_figure(found.votes, found.labels, k=k, true_label=found.true_label)
    return means_figure(found.votes, k=k, true=_number(found.true_label))


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _words(found: Neighbourhood) -> str:
    """The chart in words: from which k on the answer is which."""
    changes: list[tuple[int, str]] = []
    for vote in found.votes:
        label = found.label_of(vote)
        if not changes or changes[-1][1] != label:
            changes.append((vote.k, label))
    if not found.is_classifier:
        last = found.label_of(found.votes[-1])
        return _("mean from %(first)s at k = 1 to %(last)s at k = %(k)s") % {
            "first": changes[0][1],
            "last": last,
            "k": len(found.votes),
        }
    return "; ".join(_("from k = %(k)s: %(label)s") % {"k": k, "label": label} for k, label in changes[:20])
