"""Why an endpoint answers as it does: the neighbours of a row. A prediction like any other, for k-NN models only."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.services.neighbours import endpoint_neighbours
from mlplatform.api.auth import Rule
from mlplatform.api.base import ApiView
from mlplatform.api.presenters.neighbours import neighbours_json
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.neighbours import Neighbours, NeighboursRequest

TAG = "endpoints"


class EndpointNeighboursView(ApiView):
    tag = TAG
    access = {"POST": Rule.VIEWER}

    @operation(
        "endpoint_neighbours",
        "The neighbours of a row, their labels and their votes",
        request=NeighboursRequest,
        answer=Neighbours,
        errors=[409, 424, 429, 503],
        examples=[
            example("A row of a dataset", {"dataset": "iris-test", "row_number": 19}),
            example("Values", {"row": [5.9, 3.0, 4.2, 1.5]}),
        ],
    )
    def post(self, request: Request, project: str, name: str) -> Response:
        """Changes nothing. `votes` says for every k what the nearest k would answer."""
        asked = self.body(NeighboursRequest)
        return Response(neighbours_json(endpoint_neighbours(actor=self.actor, name=name, **asked)))
