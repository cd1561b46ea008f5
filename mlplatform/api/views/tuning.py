"""Tuning jobs: create, list, read, stop, extend, delete, clone; their trials, and which hyperparameters matter."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from jobs.algorithms.registry import SCRIPT
from jobs.selectors.tuning import tuning_job_get, tuning_job_list, tuning_trial_counts, tuning_trial_page
from jobs.selectors.tuning_importance import tuning_importance_told
from jobs.services.channels import ChannelRequest
from jobs.services.scripts import script_request
from jobs.services.tuning import (
    TuningRequest,
    tuning_job_clone_request,
    tuning_job_create,
    tuning_job_delete,
    tuning_job_extend,
    tuning_job_stop,
)
from mlplatform.api.auth import Rule
from mlplatform.api.base import ApiView, page_response
from mlplatform.api.fields import NoFields
from mlplatform.api.presenters.tuning import (
    tuning_importance_json,
    tuning_job_json,
    tuning_job_summary_json,
    tuning_trial_json,
)
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.lists import listed
from mlplatform.api.serializers.tuning import (
    TuningImportance,
    TuningJob,
    TuningJobCloneRequest,
    TuningJobDeletionQuery,
    TuningJobExtension,
    TuningJobQuery,
    TuningJobRequest,
    TuningJobSummary,
    TuningTrial,
    TuningTrialQuery,
)
from mlplatform.core.people.access import Actor

TAG = "tuning jobs"
_EXAMPLE = {
    "name": "diabetes-xgboost",
    "objective_metric": "validation:rmse",
    "objective_type": "Minimize",
    "ranges": [
        {"name": "eta", "type": "Continuous", "min": 0.2, "max": 0.3},
        {"name": "max_depth", "type": "Integer", "min": 3, "max": 4},
    ],
    "max_jobs": 4,
    "max_parallel_jobs": 2,
    "algorithm": "xgboost",
    "static_hyperparameters": {"num_round": 100, "objective": "reg:squarederror"},
    "channels": {"train": {"dataset": "diabetes-train"}, "validation": {"dataset": "diabetes-test"}},
}


class TuningJobListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "POST": Rule.EDITOR}

    @operation("tuning_job_list", "Tuning jobs", answer=listed(TuningJobSummary), query=TuningJobQuery)
    def get(self, request: Request, project: str) -> Response:
        page = tuning_job_list(actor=self.actor, **self.query(TuningJobQuery))
        return page_response(page, tuning_job_summary_json)

    @operation(
        "tuning_job_create",
        "Search for the best hyperparameters",
        request=TuningJobRequest,
        answer=TuningJob,
        status=201,
        idempotent=True,
        examples=[example("XGBoost on diabetes", _EXAMPLE)],
    )
    def post(self, request: Request, project: str) -> Response:
        """Answers at once; each trial is an ordinary training job that the platform begins when there is a place. A
        trial that fails, or never prints the objective, is counted and explained, and the rest goes on.
        """
        asked = self.body(TuningJobRequest)
        return self.create_once(lambda: _json(self.actor, _create(self.actor, asked)))


class TuningJobView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "DELETE": Rule.EDITOR}

    @operation("tuning_job_get", "One tuning job", answer=TuningJob)
    def get(self, request: Request, project: str, name: str) -> Response:
        return Response(_json(self.actor, name))

    @operation(
        "tuning_job_delete",
        "Delete a tuning job that has ended",
        status=204,
        query=TuningJobDeletionQuery,
        errors=[409],
    )
    def delete(self, request: Request, project: str, name: str) -> Response:
        """Its training jobs stay as ordinary ones, unless they are to go too."""
        with_jobs = self.query(TuningJobDeletionQuery)["with_jobs"] == "true"
        tuning_job_delete(actor=self.actor, name=name, with_jobs=with_jobs)
        return Response(status=204)


class TuningJobStopView(ApiView):
    tag = TAG
    access = {"POST": Rule.EDITOR}

    @operation("tuning_job_stop", "Ask a tuning job to stop", answer=TuningJob, errors=[409])
    def post(self, request: Request, project: str, name: str) -> Response:
        """What runs is stopped, within seconds; what has been found stays."""
        self.body(NoFields)
        tuning_job_stop(actor=self.actor, name=name)
        return Response(_json(self.actor, name))


class TuningJobExtendView(ApiView):
    tag = TAG
    access = {"POST": Rule.EDITOR}

    @operation(
        "tuning_job_extend",
        "Give a tuning job that is under way more trials",
        request=TuningJobExtension,
        answer=TuningJob,
        errors=[409],
    )
    def post(self, request: Request, project: str, name: str) -> Response:
        """One that has ended is not taken up again; a new one can begin with what it found (warm start)."""
        tuning_job_extend(actor=self.actor, name=name, max_jobs=self.body(TuningJobExtension)["max_jobs"])
        return Response(_json(self.actor, name))


class TuningTrialListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation("tuning_trial_list", "Its trials", answer=listed(TuningTrial), query=TuningTrialQuery)
    def get(self, request: Request, project: str, name: str) -> Response:
        """`search` finds part of the training job's name."""
        tuning_job = tuning_job_get(actor=self.actor, name=name)
        page = tuning_trial_page(tuning_job=tuning_job, **self.query(TuningTrialQuery))
        return page_response(page, tuning_trial_json)


class TuningImportanceView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation("tuning_importance", "Which hyperparameters matter", answer=TuningImportance)
    def get(self, request: Request, project: str, name: str) -> Response:
        """Needs at least four trials with a value; otherwise it says why there is none."""
        tuning_job = tuning_job_get(actor=self.actor, name=name)
        return Response(tuning_importance_json(tuning_importance_told(tuning_job=tuning_job)))


class TuningJobCloneRequestView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation(
        "tuning_job_clone_request", "The request that would make it again", answer=TuningJobCloneRequest
    )
    def get(self, request: Request, project: str, name: str) -> Response:
        """To be changed and posted."""
        return Response(tuning_job_clone_request(actor=self.actor, name=name))


def _create(actor: Actor, asked: dict[str, Any]) -> str:
    """The name of what was made."""
    given = dict(asked)
    given["channels"] = {name: ChannelRequest(**channel) for name, channel in given["channels"].items()}
    script = given.pop("script", None)
    if script is not None:
        given["script"] = script_request(actor=actor, **script)
    given.setdefault("algorithm", SCRIPT if script is not None else "")
    return tuning_job_create(actor=actor, request=TuningRequest(**given)).name


def _json(actor: Actor, name: str) -> dict[str, Any]:
    job = tuning_job_get(actor=actor, name=name)
    return tuning_job_json(job, counts=tuning_trial_counts(tuning_job=job))
