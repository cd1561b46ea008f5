"""The page of an endpoint's asynchronous requests: its queue, what came of the newest, and a form to send one."""

from __future__ import annotations

import io
import shlex
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from endpoints.models import Endpoint
from endpoints.selectors.async_invocations import (
    async_invocation_get,
    async_invocations_newest,
    async_output_chunks,
    async_queue,
    async_waiting_reason,
)
from endpoints.selectors.endpoints import endpoint_get, endpoint_sample_row
from endpoints.services.async_config import is_async
from endpoints.services.async_invocations import async_invocation_create
from endpoints.services.neighbours import knn_variants
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import PlatformError
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated, translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.rendering import fragment_target


@require_http_methods(["GET", "POST"])
def endpoint_async(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    endpoint = endpoint_get(actor=actor, name=name)
    if request.method == "GET":
        if fragment_target(request) == "async-queue":
            return render(request, "endpoints/_async_queue.html", _queue_context(endpoint))
        return _page(request, actor, endpoint)
    body = request.POST.get("body", "").replace("\r\n", "\n")
    input_uri = request.POST.get("input_uri", "").strip()
    try:
        async_invocation_create(
            actor=actor,
            endpoint=name,
            body=None if input_uri else io.BytesIO(body.encode()),
            input_uri=input_uri or None,
            content_type=request.POST.get("content_type", "").strip() or "text/csv",
            accept=request.POST.get("accept", "").strip(),
        )
    except PlatformError as error:
        return _page(request, actor, endpoint, error)
    return redirect("web:endpoint-async", project=project, name=name)


@require_GET
def endpoint_async_output(
    request: HttpRequest, project: str, name: str, inference_id: str
) -> DownloadResponse:
    actor = page_actor(request, project)
    row = async_invocation_get(actor=actor, endpoint=name, inference_id=inference_id)
    return DownloadResponse(
        async_output_chunks(invocation=row),
        filename=f"{row.uid}.out",
        content_type="application/octet-stream",
    )


def _page(
    request: HttpRequest, actor: Actor, endpoint: Endpoint, error: PlatformError | None = None
) -> HttpResponse:
    error = error and translated_error(error)
    base_url = request.build_absolute_uri("/").rstrip("/")
    given = request.POST
    row = endpoint_sample_row(endpoint=endpoint)
    context = _queue_context(endpoint) | {
        "tab": "async",
        "inspectable": bool(knn_variants(endpoint=endpoint)),
        "error": "; ".join(one.message for one in error.errors) or error.message if error else "",
        "body": given.get("body", row),
        "input_uri": given.get("input_uri", ""),
        "content_type": given.get("content_type", "text/csv"),
        "accept": given.get("accept", "application/json"),
        "snippets": _snippets(endpoint, base_url, row),
    }
    return render(request, "endpoints/async.html", context, status=error.http_status if error else 200)


def _queue_context(endpoint: Endpoint) -> dict[str, Any]:
    queue = async_queue(endpoint=endpoint)
    return {
        "endpoint": endpoint,
        "asynchronous": is_async(endpoint),
        "queue": queue,
        "rows": async_invocations_newest(endpoint=endpoint),
        "waiting_reason": translated(async_waiting_reason(waiting=queue) or ""),
    }


def _snippets(endpoint: Endpoint, base_url: str, row: str) -> dict[str, str]:
    """How to send a request and to fetch what came of it, ready to copy."""
    address = (
        f"{base_url}/api/v1/projects/{endpoint.project.name}/endpoints/{endpoint.name}/async-invocations/"
    )
    token = '-H "Authorization: Bearer $TOKEN"'
    send = f"curl {shlex.quote(address)} \\\n  {token} \\\n  -H 'Content-Type: text/csv' \\\n"
    fetch = f"curl -f {token} \\\n  {shlex.quote(address)}$INFERENCE_ID/output/"
    python = f"""import json
import os
import time
import urllib.request

address = {address!r}
headers = {{"Authorization": "Bearer " + os.environ["TOKEN"], "Content-Type": "text/csv"}}
request = urllib.request.Request(address, data={row!r}.encode(), headers=headers)
inference_id = json.load(urllib.request.urlopen(request))["inference_id"]
while True:
    asked = urllib.request.Request(f"{{address}}{{inference_id}}/", headers=headers)
    state = json.load(urllib.request.urlopen(asked))
    if state["status"] in ("Completed", "Failed"):
        break
    time.sleep(1)
result = urllib.request.Request(f"{{address}}{{inference_id}}/output/", headers=headers)
print(state["status"], urllib.request.urlopen(result).read().decode())
"""
    return {"curl": f"{send}  --data-binary {shlex.quote(row)}\n\n{fetch}", "python": python}
