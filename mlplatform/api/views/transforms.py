"""Batch transforms: create, list, read, stop, delete, clone; their log and their result."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.models import TransformJob as Row
from endpoints.selectors.transforms import (
    transform_job_get,
    transform_job_list,
    transform_job_waiting_reason,
    transform_result_chunks,
    transform_result_get,
)
from endpoints.services.transforms import (
    TransformRequest,
    transform_job_clone_request,
    transform_job_create,
    transform_job_delete,
    transform_job_stop,
)
from mlplatform.api.auth import Rule, still_admitted
from mlplatform.api.base import AnyAccept, ApiView, page_response
from mlplatform.api.fields import NoFields
from mlplatform.api.presenters.logs import log_json
from mlplatform.api.presenters.transforms import transform_job_json, transform_job_summary_json
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.lists import listed
from mlplatform.api.serializers.logs import Log, LogQuery, LogStreamQuery
from mlplatform.api.serializers.transforms import (
    TransformJob,
    TransformJobQuery,
    TransformJobRequest,
    TransformJobSummary,
    TransformResultQuery,
)
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.log_events import log_events
from mlplatform.core.logs import log_part

TAG = "transform jobs"
EVENT_STREAM = "text/event-stream"
_EXAMPLE = {
    "name": "iris-predictions",
    "model": "iris-knn",
    "dataset": "iris-test",
    "input_filter": "$[0:4]",
    "join": "Input",
}


class TransformJobListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "POST": Rule.EDITOR}

    @operation(
        "transform_job_list", "Transform jobs", answer=listed(TransformJobSummary), query=TransformJobQuery
    )
    def get(self, request: Request, project: str) -> Response:
        page = transform_job_list(actor=self.actor, **self.query(TransformJobQuery))
        return page_response(page, transform_job_summary_json)

    @operation(
        "transform_job_create",
        "Send a dataset, or objects, through a model without an endpoint",
        request=TransformJobRequest,
        answer=TransformJob,
        status=201,
        idempotent=True,
        examples=[example("Every row of a dataset with its prediction", _EXAMPLE)],
    )
    def post(self, request: Request, project: str) -> Response:
        """Answers at once; a worker carries it out. The result has a line per record, in the order of the input."""
        asked = self.body(TransformJobRequest)
        return self.create_once(lambda: self._created(asked))

    def _created(self, asked: dict[str, Any]) -> dict[str, Any]:
        made = transform_job_create(actor=self.actor, request=TransformRequest(**asked))
        return _json(transform_job_get(actor=self.actor, name=made.name))


class TransformJobView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "DELETE": Rule.EDITOR}

    @operation("transform_job_get", "One transform job", answer=TransformJob)
    def get(self, request: Request, project: str, name: str) -> Response:
        return Response(_json(transform_job_get(actor=self.actor, name=name)))

    @operation("transform_job_delete", "Delete a transform job that has ended", status=204, errors=[409])
    def delete(self, request: Request, project: str, name: str) -> Response:
        """Its log and its result go with it."""
        transform_job_delete(actor=self.actor, name=name)
        return Response(status=204)


class TransformJobStopView(ApiView):
    tag = TAG
    access = {"POST": Rule.EDITOR}

    @operation("transform_job_stop", "Ask a transform job to stop", answer=TransformJob, errors=[409])
    def post(self, request: Request, project: str, name: str) -> Response:
        """One that has not begun is stopped at once, one that runs within seconds; it leaves no result."""
        self.body(NoFields)
        return Response(_json(transform_job_stop(actor=self.actor, name=name)))


class TransformJobCloneRequestView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation(
        "transform_job_clone_request",
        "The request that would create the same job again",
        answer=TransformJobRequest,
    )
    def get(self, request: Request, project: str, name: str) -> Response:
        return Response(transform_job_clone_request(actor=self.actor, name=name))


class TransformJobResultView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "transform_job_result",
        "Download the result",
        answer={"type": "string", "format": "binary"},
        query=TransformResultQuery,
        media_types=["application/octet-stream"],
    )
    def get(self, request: Request, project: str, name: str) -> HttpResponseBase:
        """The only object of the result, or the one that is named."""
        asked = self.query(TransformResultQuery)
        job = transform_job_get(actor=self.actor, name=name)
        result = transform_result_get(job=job, name=asked["name"])
        return DownloadResponse(
            transform_result_chunks(result=result),
            filename=result.name.rpartition("/")[2],
            content_type="application/octet-stream",
        )


class TransformJobLogView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation("transform_job_logs", "Read the log from an offset", answer=Log, query=LogQuery)
    def get(self, request: Request, project: str, name: str) -> Response:
        """What the model server prints. Ask again with `after` = `next` until `end` is true."""
        job = transform_job_get(actor=self.actor, name=name)
        return Response(log_json(log_part(stream=job.log, **self.query(LogQuery))))


class TransformJobLogStreamView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "transform_job_logs_stream",
        "Follow the log as server-sent events",
        answer={"type": "string"},
        query=LogStreamQuery,
        media_types=[EVENT_STREAM],
    )
    def get(self, request: Request, project: str, name: str) -> HttpResponseBase:
        """As of a training job."""
        actor = self.actor
        job = transform_job_get(actor=actor, name=name)
        after: int = self.query(LogStreamQuery)["after"]
        resumed = request.headers.get("Last-Event-ID", "")
        if resumed.isdecimal() and len(resumed) <= 16:
            after = int(resumed)
        events = log_events(stream=job.log, after=after, allowed=partial(still_admitted, request, actor))
        response = StreamingHttpResponse(events, content_type=EVENT_STREAM)
        response["Cache-Control"] = "no-store"
        response["X-Accel-Buffering"] = "no"
        return response


def _json(job: Row) -> dict[str, Any]:
    return transform_job_json(job, waiting_reason=transform_job_waiting_reason(job=job))
