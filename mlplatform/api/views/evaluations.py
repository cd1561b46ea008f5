"""Evaluations: create, list, read, stop, delete."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.models import Evaluation as Row
from endpoints.selectors.evaluations import evaluation_get, evaluation_list, evaluation_waiting_reason
from endpoints.services.evaluations import evaluation_create, evaluation_delete, evaluation_stop
from mlplatform.api.auth import Rule
from mlplatform.api.base import ApiView, page_response
from mlplatform.api.fields import NoFields
from mlplatform.api.presenters.evaluations import evaluation_json, evaluation_summary_json
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.evaluations import (
    Evaluation,
    EvaluationQuery,
    EvaluationRequest,
    EvaluationSummary,
)
from mlplatform.api.serializers.lists import listed

TAG = "evaluations"
_EXAMPLE = {
    "name": "iris-accuracy",
    "endpoint": "iris",
    "dataset": "iris-test",
    "batches": 10,
    "single_requests": 200,
}


class EvaluationListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "POST": Rule.EDITOR}

    @operation("evaluation_list", "Evaluations", answer=listed(EvaluationSummary), query=EvaluationQuery)
    def get(self, request: Request, project: str) -> Response:
        page = evaluation_list(actor=self.actor, **self.query(EvaluationQuery))
        return page_response(page, evaluation_summary_json)

    @operation(
        "evaluation_create",
        "Measure how good and how fast an endpoint answers for a dataset",
        request=EvaluationRequest,
        answer=Evaluation,
        status=201,
        idempotent=True,
        examples=[example("The test data of Iris", _EXAMPLE)],
    )
    def post(self, request: Request, project: str) -> Response:
        """Answers at once; a worker carries it out. The endpoint must be in service."""
        asked = self.body(EvaluationRequest)
        return self.create_once(lambda: self._created(asked))

    def _created(self, asked: dict[str, Any]) -> dict[str, Any]:
        made = evaluation_create(actor=self.actor, **asked)
        return _json(evaluation_get(actor=self.actor, name=made.name))


class EvaluationView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "DELETE": Rule.EDITOR}

    @operation("evaluation_get", "One evaluation, with its result", answer=Evaluation)
    def get(self, request: Request, project: str, name: str) -> Response:
        return Response(_json(evaluation_get(actor=self.actor, name=name)))

    @operation("evaluation_delete", "Delete an evaluation that has ended", status=204, errors=[409])
    def delete(self, request: Request, project: str, name: str) -> Response:
        evaluation_delete(actor=self.actor, name=name)
        return Response(status=204)


class EvaluationStopView(ApiView):
    tag = TAG
    access = {"POST": Rule.EDITOR}

    @operation("evaluation_stop", "Ask an evaluation to stop", answer=Evaluation, errors=[409])
    def post(self, request: Request, project: str, name: str) -> Response:
        """One that has not begun is stopped at once, one that runs within seconds; it leaves no result."""
        self.body(NoFields)
        return Response(_json(evaluation_stop(actor=self.actor, name=name)))


def _json(evaluation: Row) -> dict[str, Any]:
    return evaluation_json(evaluation, waiting_reason=evaluation_waiting_reason(evaluation=evaluation))
