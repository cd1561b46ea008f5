"""Pages of the built-in algorithms: list, and one with its declared hyperparameters."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from jobs.algorithms.base import AlgorithmSpec
from jobs.algorithms.registry import algorithm_get, algorithm_list
from mlplatform.web.access import page_actor
from mlplatform.web.rendering import page_response
from mlplatform.web.shortlist import short_list

_ORDERS = {"name": lambda spec: spec.name, "title": lambda spec: _(spec.title)}


@require_GET
def algorithm_list_page(request: HttpRequest, project: str) -> HttpResponse:
    page_actor(request, project)
    specs = short_list(algorithm_list(), request.GET, orders=_ORDERS, default="name", text=_text)
    return page_response(request, "algorithms/list.html", {"specs": specs})


@require_GET
def algorithm_detail(request: HttpRequest, project: str, name: str) -> HttpResponse:
    page_actor(request, project)
    spec = algorithm_get(name)
    context = {
        "spec": spec,
        "hyperparameters": [one for one in spec.describe()["hyperparameters"] if not one["hidden"]],
        "advanced": [one for one in spec.describe()["hyperparameters"] if one["hidden"]],
    }
    return render(request, "algorithms/detail.html", context)


def _text(spec: AlgorithmSpec) -> str:
    return f"{spec.name} {_(spec.title)} {_(spec.summary)}"
