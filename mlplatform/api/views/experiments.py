"""Experiments: create, list, read, stop, resume, delete, their tables, and the presets."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.experiment_presets import preset_list
from endpoints.selectors.experiment_tables import TABLES
from endpoints.selectors.experiments import experiment_cells, experiment_get, experiment_list
from endpoints.services.experiments import (
    experiment_create,
    experiment_delete,
    experiment_resume,
    experiment_stop,
)
from mlplatform.api.auth import Rule
from mlplatform.api.base import AnyAccept, ApiView, list_response, page_response
from mlplatform.api.fields import NoFields
from mlplatform.api.presenters.experiments import (
    experiment_deletion_json,
    experiment_json,
    experiment_summary_json,
    preset_json,
)
from mlplatform.api.result_tables import CSV, table_response
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.experiments import (
    Experiment,
    ExperimentDeletion,
    ExperimentDeletionQuery,
    ExperimentPreset,
    ExperimentQuery,
    ExperimentRequest,
    ExperimentSummary,
)
from mlplatform.api.serializers.lists import listed
from mlplatform.api.serializers.result_tables import ResultTable, ResultTableQuery
from mlplatform.core.errors import NotFound
from mlplatform.core.people.access import Actor
from mlplatform.core.text import text as _

TAG = "experiments"
_BY_PRESET = {"name": "iris-indexes", "preset": "knn-small", "train": "iris-train", "test": "iris-test"}
_GRID = {
    "name": "iris-grid",
    "train": "iris-train",
    "test": "iris-test",
    "hyperparameters": {"predictor_type": "classifier", "k": 10},
    "configurations": [
        {"name": "Flat", "hyperparameters": {"index_type": "faiss.Flat"}},
        {
            "name": "IVF",
            "hyperparameters": {"index_type": "faiss.IVFFlat"},
            "by_sample_size": {"100": {"faiss_index_ivf_nlists": 10}},
        },
    ],
    "sample_sizes": [50, 100],
    "instance_types": ["local.cpu"],
    "batches": 10,
    "single_requests": 100,
}


class ExperimentListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "POST": Rule.EDITOR}

    @operation("experiment_list", "Experiments", answer=listed(ExperimentSummary), query=ExperimentQuery)
    def get(self, request: Request, project: str) -> Response:
        page = experiment_list(actor=self.actor, **self.query(ExperimentQuery))
        return page_response(page, experiment_summary_json)

    @operation(
        "experiment_create",
        "Train, deploy and evaluate a grid",
        request=ExperimentRequest,
        answer=Experiment,
        status=201,
        idempotent=True,
        examples=[example("A preset on Iris", _BY_PRESET), example("A grid of one's own", _GRID)],
    )
    def post(self, request: Request, project: str) -> Response:
        """Configurations × sample sizes × instance types. Answers at once; the platform goes on cell by cell, and
        deletes each endpoint when its evaluation has ended. A cell that fails does not stop the others.
        """
        asked = self.body(ExperimentRequest)
        return self.create_once(lambda: _json(self.actor, experiment_create(actor=self.actor, **asked).name))


class ExperimentView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "DELETE": Rule.EDITOR}

    @operation("experiment_get", "One experiment, with its cells", answer=Experiment)
    def get(self, request: Request, project: str, name: str) -> Response:
        return Response(_json(self.actor, name))

    @operation(
        "experiment_delete",
        "Delete an experiment that has ended, with what it made",
        answer=ExperimentDeletion,
        query=ExperimentDeletionQuery,
        errors=[409],
    )
    def delete(self, request: Request, project: str, name: str) -> Response:
        """Evaluations, models and training jobs of its cells go too; a model that an endpoint serves stays."""
        keep_results = self.query(ExperimentDeletionQuery)["keep_results"] == "true"
        deletion = experiment_delete(actor=self.actor, name=name, keep_results=keep_results)
        return Response(experiment_deletion_json(deletion))


class ExperimentStopView(ApiView):
    tag = TAG
    access = {"POST": Rule.EDITOR}

    @operation("experiment_stop", "Ask an experiment to stop", answer=Experiment, errors=[409])
    def post(self, request: Request, project: str, name: str) -> Response:
        """What runs is stopped and endpoints are deleted, within seconds. It can be resumed."""
        self.body(NoFields)
        experiment_stop(actor=self.actor, name=name)
        return Response(_json(self.actor, name))


class ExperimentResumeView(ApiView):
    tag = TAG
    access = {"POST": Rule.EDITOR}

    @operation("experiment_resume", "Take up the cells without a result", answer=Experiment, errors=[409])
    def post(self, request: Request, project: str, name: str) -> Response:
        """Cells that failed, were stopped or skipped begin again; what is trained already is used again."""
        self.body(NoFields)
        experiment_resume(actor=self.actor, name=name)
        return Response(_json(self.actor, name))


class ExperimentTableView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "experiment_table",
        "One of the tables over all cells",
        answer=ResultTable,
        query=ResultTableQuery,
        files=[CSV],
    )
    def get(self, request: Request, project: str, name: str, table: str) -> HttpResponseBase:
        """`accuracy` (by k, to 12), `latency`, or `cells`: what each cell is and came to."""
        asked = self.query(ResultTableQuery)
        experiment = experiment_get(actor=self.actor, name=name)
        if table not in TABLES:
            message = _(
                "There is no table {name}; there are {tables}",
                name=repr(table[:40]),
                tables=", ".join(TABLES),
            )
            raise NotFound(message)
        found = TABLES[table](experiment_cells(experiment=experiment, results=table != "cells"))
        return table_response(found, form=asked["as"], stem=f"{experiment.name}-{table}")


class ExperimentPresetListView(ApiView):
    tag = TAG
    access = {"GET": Rule.SIGNED_IN}

    @operation("experiment_preset_list", "Experiments to begin with", answer=listed(ExperimentPreset))
    def get(self, request: Request) -> Response:
        """Each has what a request may leave out, but for the data."""
        return list_response([preset_json(preset) for preset in preset_list()])


def _json(actor: Actor, name: str) -> dict[str, Any]:
    experiment = experiment_get(actor=actor, name=name)
    return experiment_json(experiment, cells=experiment_cells(experiment=experiment))
