"""The tester of metric definitions, which forms of jobs ask before they are sent."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from mlplatform.core.errors import PlatformError
from mlplatform.core.translation import translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.forms.training_jobs import metric_definitions_given
from mlplatform.web.metric_tester import tester_context


@require_POST
def metric_test(request: HttpRequest, project: str) -> HttpResponse:
    """What the definitions of the form find in pasted text or in the log of a job."""
    actor = page_actor(request, project)
    context: dict[str, Any]
    try:
        context = tester_context(
            actor=actor,
            definitions=metric_definitions_given(request.POST),
            text=request.POST.get("metric_text", ""),
            job=request.POST.get("metric_job", "")[:63],
        )
    except PlatformError as error:
        context = {"error": translated_error(error).message}
    return render(request, "training_jobs/_metric_test.html", context)
