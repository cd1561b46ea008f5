"""What a training job says: its log (read, follow) and its metrics; and the tester of metric definitions."""

from __future__ import annotations

from functools import partial

from django.http import HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.metric_regex import Match, metric_matches
from jobs.selectors.metric_tester import training_job_metric_matches
from jobs.selectors.training import training_job_get, training_job_metrics
from mlplatform.api.auth import Rule, still_admitted
from mlplatform.api.base import AnyAccept, ApiView, list_response
from mlplatform.api.presenters.logs import log_json
from mlplatform.api.presenters.numbers import finite
from mlplatform.api.presenters.training import metric_series_json
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.lists import listed
from mlplatform.api.serializers.logs import Log, LogQuery, LogStreamQuery
from mlplatform.api.serializers.training import (
    MetricMatch,
    MetricSeries,
    MetricTestRequest,
)
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.log_events import log_events
from mlplatform.core.logs import log_part

TAG = "training jobs"
EVENT_STREAM = "text/event-stream"


class TrainingJobLogView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation("training_job_logs", "Read the log from an offset", answer=Log, query=LogQuery)
    def get(self, request: Request, project: str, name: str) -> Response:
        """Ask again with `after` = `next` until `end` is true."""
        job = training_job_get(actor=self.actor, name=name)
        return Response(log_json(log_part(stream=job.log, **self.query(LogQuery))))


class TrainingJobLogStreamView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "training_job_logs_stream",
        "Follow the log as server-sent events",
        answer={"type": "string"},
        query=LogStreamQuery,
        media_types=[EVENT_STREAM],
    )
    def get(self, request: Request, project: str, name: str) -> HttpResponseBase:
        """`log` events have the JSON of the log; their id is the offset after them, so that a client that
        comes back with `Last-Event-ID` misses nothing. Comments keep a silent stream open; `end` comes last,
        or `denied` when the right to read the log has ended: do not come back then.
        """
        actor = self.actor
        job = training_job_get(actor=actor, name=name)
        allowed = partial(still_admitted, request, actor)
        events = log_events(stream=job.log, after=self._after(request), allowed=allowed)
        response = StreamingHttpResponse(events, content_type=EVENT_STREAM)
        response["Cache-Control"] = "no-store"
        response["X-Accel-Buffering"] = "no"
        return response

    def _after(self, request: Request) -> int:
        after: int = self.query(LogStreamQuery)["after"]
        resumed = request.headers.get("Last-Event-ID", "")
        if not resumed:
            return after
        if not resumed.isdecimal() or len(resumed) > 16:
            raise InvalidRequest.for_field("Last-Event-ID", f"{resumed[:40]!r} is not an offset of this log")
        return int(resumed)


class TrainingJobMetricsView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation("training_job_metrics", "The metrics with their points", answer=listed(MetricSeries))
    def get(self, request: Request, project: str, name: str) -> Response:
        job = training_job_get(actor=self.actor, name=name)
        return list_response([metric_series_json(series) for series in training_job_metrics(job=job)])


class MetricDefinitionTestView(ApiView):
    tag = TAG
    access = {"POST": Rule.VIEWER}

    @operation(
        "metric_definition_test",
        "What metric definitions find in a text",
        request=MetricTestRequest,
        answer=listed(MetricMatch),
        examples=[
            example(
                "Loss of two epochs",
                {
                    "metric_definitions": [{"name": "loss", "regex": "loss=([0-9.]+)"}],
                    "text": "epoch 1 loss=0.5\nepoch 2 loss=0.25\n",
                },
            )
        ],
    )
    def post(self, request: Request, project: str) -> Response:
        """Nothing is stored: for trying out expressions before a job is started. Of a job's log the first 10,000
        matches are answered.
        """
        asked = self.body(MetricTestRequest)
        matches = self._matches(asked["metric_definitions"], asked.get("text"), asked.get("training_job"))
        return list_response(
            [{"name": match.name, "value": finite(match.value), "line": match.line} for match in matches]
        )

    def _matches(
        self, definitions: list[dict[str, str]], text: str | None, training_job: str | None
    ) -> list[Match]:
        if (text is None) == (training_job is None):
            raise InvalidRequest.for_field("text", "give exactly one of text and training_job")
        if training_job is not None:
            return training_job_metric_matches(actor=self.actor, name=training_job, definitions=definitions)
        return metric_matches(definitions, text or "")
