"""Every component of the design system on one page, to look at and to copy from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from mlplatform.core import clock
from mlplatform.core.status import TONES
from mlplatform.web.access import page_user


@require_GET
def styleguide(request: HttpRequest) -> HttpResponse:
    page_user(request)
    now = clock.now()
    context = {
        "statuses": list(TONES),
        "instants": [now - timedelta(seconds=40), now - timedelta(hours=5), now - timedelta(days=12)],
        "numbers": [0.973684210526, 1234567, 3.14159265, 0.0000271828, 98765.4321],
        "line": [3, 5, 4, 8, 13, 9, 11, 16, 14, 21, 19, 24],
        "figure": _figure(),
    }
    return render(request, "web/styleguide.html", context)


def _figure() -> dict[str, Any]:
    epochs = [0, 1, 2, 3, 4]
    test = {"line": {"dash": "dash"}, "marker": {"symbol": "diamond"}}
    return {
        "data": [
            {"type": "scatter", "name": "train", "x": epochs, "y": [0.9, 0.6, 0.45, 0.4, 0.37]},
            {"type": "scatter", "name": "test", "x": epochs, "y": [0.95, 0.7, 0.6, 0.58, 0.57], **test},
        ],
        "layout": {"xaxis": {"title": "epoch"}, "yaxis": {"title": "loss"}},
    }
