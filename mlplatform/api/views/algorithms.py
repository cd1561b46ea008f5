"""Algorithms: their declarations, in the caller's language."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from jobs.algorithms.registry import algorithm_get, algorithm_list
from mlplatform.api.auth import Rule
from mlplatform.api.base import ApiView, list_response
from mlplatform.api.presenters.algorithms import algorithm_json
from mlplatform.api.schema import operation
from mlplatform.api.serializers.algorithms import Algorithm
from mlplatform.api.serializers.lists import listed


class AlgorithmListView(ApiView):
    tag = "algorithms"
    access = {"GET": Rule.SIGNED_IN}

    @operation("algorithm_list", "The built-in algorithms", answer=listed(Algorithm))
    def get(self, request: Request) -> Response:
        return list_response([algorithm_json(spec) for spec in algorithm_list()])


class AlgorithmView(ApiView):
    tag = "algorithms"
    access = {"GET": Rule.SIGNED_IN}

    @operation("algorithm_get", "One algorithm's declaration", answer=Algorithm)
    def get(self, request: Request, name: str) -> Response:
        return Response(algorithm_json(algorithm_get(name)))
