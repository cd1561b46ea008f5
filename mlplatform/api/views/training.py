"""Training jobs: create, list, read, stop, delete, artifact."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.algorithms.registry import SCRIPT
from jobs.models import TrainingJob as Job
from jobs.selectors.training import (
    training_job_artifact,
    training_job_events,
    training_job_get,
    training_job_list,
    training_job_output,
    training_job_waiting_reason,
)
from jobs.services.scripts import script_request
from jobs.services.training import (
    ChannelRequest,
    training_job_clone_request,
    training_job_create,
    training_job_delete,
    training_job_stop,
)
from mlplatform.api.auth import Rule
from mlplatform.api.base import AnyAccept, ApiView, page_response
from mlplatform.api.fields import NoFields
from mlplatform.api.presenters.training import (
    clone_request_json,
    training_job_json,
    training_job_summary_json,
)
from mlplatform.api.schema import example, operation
from mlplatform.api.schema_parts import BINARY
from mlplatform.api.serializers.lists import listed
from mlplatform.api.serializers.training import (
    TrainingJob,
    TrainingJobQuery,
    TrainingJobRequest,
    TrainingJobSummary,
)
from mlplatform.core.downloads import DownloadResponse

TAG = "training jobs"
_EXAMPLE = {
    "name": "iris-knn",
    "algorithm": "knn",
    "hyperparameters": {"k": 1, "predictor_type": "classifier", "feature_dim": 4, "sample_size": 112},
    "channels": {"train": {"dataset": "iris-train"}, "test": {"dataset": "iris-test"}},
    "instance_type": "local.cpu",
    "max_runtime_s": 600,
}


_SCRIPT_EXAMPLE = {
    "name": "diabetes-ensemble",
    "script": {
        "framework": "xgboost",
        "entry_point": "train.py",
        "files": {"train.py": "import os\n\nopen(os.environ['SM_MODEL_DIR'] + '/weights', 'w').write('1')\n"},
    },
    "hyperparameters": {"eta": 0.2, "max_depth": 3},
    "metric_definitions": [{"name": "validation:rmse", "regex": "validation-rmse:([0-9.]+)"}],
    "channels": {"train": {"dataset": "diabetes"}},
}


class TrainingJobListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "POST": Rule.EDITOR}

    @operation(
        "training_job_list", "Training jobs", answer=listed(TrainingJobSummary), query=TrainingJobQuery
    )
    def get(self, request: Request, project: str) -> Response:
        page = training_job_list(actor=self.actor, **self.query(TrainingJobQuery))
        return page_response(page, training_job_summary_json)

    @operation(
        "training_job_create",
        "Start a training job",
        request=TrainingJobRequest,
        answer=TrainingJob,
        status=201,
        idempotent=True,
        examples=[example("k-NN on Iris", _EXAMPLE), example("A script", _SCRIPT_EXAMPLE)],
    )
    def post(self, request: Request, project: str) -> Response:
        """Answers at once; the job waits for a worker of its queue."""
        asked = self.body(TrainingJobRequest)
        asked["channels"] = {name: ChannelRequest(**channel) for name, channel in asked["channels"].items()}
        return self.create_once(lambda: self._created(asked))

    def _created(self, asked: dict[str, Any]) -> dict[str, Any]:
        given = asked.pop("script", None)
        script = script_request(actor=self.actor, **given) if given else None
        algorithm = asked.pop("algorithm", SCRIPT)
        return _job_json(training_job_create(actor=self.actor, algorithm=algorithm, script=script, **asked))


class TrainingJobView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "DELETE": Rule.EDITOR}

    @operation("training_job_get", "One training job", answer=TrainingJob)
    def get(self, request: Request, project: str, name: str) -> Response:
        return Response(_job_json(training_job_get(actor=self.actor, name=name)))

    @operation("training_job_delete", "Delete a training job that has ended", status=204, errors=[409])
    def delete(self, request: Request, project: str, name: str) -> Response:
        """With its log, metrics and artifact; models made from it keep theirs."""
        training_job_delete(actor=self.actor, name=name)
        return Response(status=204)


class TrainingJobStopView(ApiView):
    tag = TAG
    access = {"POST": Rule.EDITOR}

    @operation("training_job_stop", "Ask a training job to stop", answer=TrainingJob, errors=[409])
    def post(self, request: Request, project: str, name: str) -> Response:
        """The process is asked to end, and ended when it has not after its grace time."""
        self.body(NoFields)
        training_job_stop(actor=self.actor, name=name)
        return Response(_job_json(training_job_get(actor=self.actor, name=name)))


class TrainingJobCloneRequestView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation(
        "training_job_clone_request",
        "The request that would create the same job again",
        answer=TrainingJobRequest,
    )
    def get(self, request: Request, project: str, name: str) -> Response:
        """To be changed and sent to `training-jobs/`; it has a fresh name."""
        return Response(clone_request_json(training_job_clone_request(actor=self.actor, name=name)))


class TrainingJobOutputView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "training_job_output", "Download output.tar.gz", answer=BINARY, media_types=["application/gzip"]
    )
    def get(self, request: Request, project: str, name: str) -> HttpResponseBase:
        """What the job left in `output/data`, whether it completed or not."""
        chunks, filename, size_bytes = training_job_output(actor=self.actor, name=name)
        return DownloadResponse(
            chunks, filename=filename, size_bytes=size_bytes, content_type="application/gzip"
        )


class TrainingJobArtifactView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "training_job_artifact", "Download model.tar.gz", answer=BINARY, media_types=["application/gzip"]
    )
    def get(self, request: Request, project: str, name: str) -> HttpResponseBase:
        chunks, filename, size_bytes = training_job_artifact(actor=self.actor, name=name)
        return DownloadResponse(
            chunks, filename=filename, size_bytes=size_bytes, content_type="application/gzip"
        )


def _job_json(job: Job) -> dict[str, Any]:
    return training_job_json(
        job, events=training_job_events(job=job), waiting_reason=training_job_waiting_reason(job=job)
    )
