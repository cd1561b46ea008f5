"""The log of a training job for its page: slices as JSON, live as server-sent events, whole as a download."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from jobs.selectors.training import training_job_get
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import InvalidRequest, PlatformError
from mlplatform.core.log_events import log_events, log_slice_json
from mlplatform.core.logs import LogSlice, log_download, log_lines, log_read, log_search, log_tail
from mlplatform.core.models import LogStream
from mlplatform.core.people.access import actor_for_user
from mlplatform.core.people.sessions import session_goes_on
from mlplatform.core.translation import translated
from mlplatform.web.access import page_actor

LINES_MAX = 2000
FOUND_MAX = 200


@require_GET
def training_job_log(request: HttpRequest, project: str, name: str) -> HttpResponse:
    """`?tail=N`, `?first=N&n=M`, `?after=<offset>` or `?search=<text>[&regular=1]`."""
    job = training_job_get(actor=page_actor(request, project), name=name)
    return log_answer(request, job.log)


def log_answer(request: HttpRequest, stream: LogStream) -> JsonResponse:
    """The slice of `stream` that the query asks for; shared by jobs and replicas."""
    if "search" in request.GET:
        return _search_answer(request, stream)
    return JsonResponse(
        log_slice_json(_slice(request, stream)) | {"n_lines": stream.n_lines, "n_bytes": stream.n_bytes}
    )


def log_download_answer(stream: LogStream, filename: str) -> DownloadResponse:
    return DownloadResponse(
        log_download(stream=stream), filename=filename, content_type="text/plain; charset=utf-8"
    )


async def log_stream_answer(request: HttpRequest, project: str, stream: LogStream) -> StreamingHttpResponse:
    """The stream's events; they end, with `denied`, when the reader signs out or leaves the project."""
    resume = request.headers.get("Last-Event-ID") or request.GET.get("after") or "0"
    after = int(resume) if resume.isdecimal() and len(resume) < 17 else 0
    events = log_events(stream=stream, after=after, allowed=lambda: _still_admitted(request, project))
    response = StreamingHttpResponse(events, content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


@require_GET
async def training_job_log_stream(request: HttpRequest, project: str, name: str) -> HttpResponseBase:
    try:
        stream = await sync_to_async(_job_log)(request, project, name)
    except PlatformError as error:
        return HttpResponse(
            translated(error.message), status=error.http_status, content_type="text/plain; charset=utf-8"
        )
    return await log_stream_answer(request, project, stream)


@require_GET
def training_job_log_download(request: HttpRequest, project: str, name: str) -> StreamingHttpResponse:
    job = training_job_get(actor=page_actor(request, project), name=name)
    return log_download_answer(job.log, f"{job.name}.log")


def _job_log(request: HttpRequest, project: str, name: str) -> LogStream:
    return training_job_get(actor=page_actor(request, project), name=name).log


def _still_admitted(request: HttpRequest, project: str) -> bool:
    user = User.objects.filter(pk=request.user.pk or 0).first()
    if user is None or not session_goes_on(request):
        return False
    try:
        actor_for_user(user=user, project_name=project)
    except PlatformError:
        return False
    return True


def _slice(request: HttpRequest, stream: LogStream) -> LogSlice:
    if "first" in request.GET:
        count = min(_number(request, "n", 500), LINES_MAX)
        return log_lines(stream=stream, first_line=_number(request, "first", 1), n_lines=count)
    if "after" in request.GET:
        return log_read(stream=stream, after=_number(request, "after", 0))
    return log_tail(stream=stream, n_lines=min(_number(request, "tail", 500), LINES_MAX))


def _search_answer(request: HttpRequest, stream: LogStream) -> JsonResponse:
    try:
        found = log_search(
            stream=stream,
            pattern=request.GET["search"],
            limit=FOUND_MAX,
            regular=request.GET.get("regular") == "1",
        )
    except InvalidRequest as error:
        return JsonResponse({"error": translated(error.message)})
    return JsonResponse(
        {"found": [{"line": line, "text": text} for line, text in found], "note": _found_note(len(found))}
    )


def _found_note(n_found: int) -> str:
    if n_found == 0:
        return _("No line matches.")
    if n_found >= FOUND_MAX:
        return _("The first %(n)s lines that match:") % {"n": n_found}
    return ngettext("%(n)s line matches:", "%(n)s lines match:", n_found) % {"n": n_found}


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, "")
    if (text and not text.isascii()) or (text and not text.isdigit()) or len(text) > 15:
        raise InvalidRequest.for_field(name, f"{text[:40]!r} is not a whole number")
    return int(text) if text else default
