"""An evaluation treats every algorithm's model as what it is: a classifier or a regressor, without neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from endpoints.models import Evaluation
from endpoints.services.endpoints import VariantRequest, endpoint_create
from endpoints.services.models import model_create
from jobs.models import TrainingJob
from jobs.runner.pack import model_pack
from jobs.services.inputs import manifest_facts
from mlplatform.core import clock
from mlplatform.core.logs import log_stream_create
from mlplatform.core.names import uid_new, uri
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from tests.contracts.job_folder import JobFolder, csv_text
from tests.endpoints.conftest import FEATURES, LABELS, HostDriver, IrisParts, PublicGateway
from tests.endpoints.evaluation_stage import *  # noqa: F403
from tests.endpoints.evaluation_stage import MakeDataset, carried_out

pytestmark = pytest.mark.slow

XGBOOST = {"num_round": "20", "objective": "multi:softprob", "num_class": "3"}
REGRESSORS = {
    "linear-learner": {"predictor_type": "regressor"},
    "ensemble": {"task": "regressor", "members": "catboost,linear-learner", "catboost__iterations": "50"},
}


def job_make(actor: Actor, algorithm: str, given: dict[str, str], text: str, root: Path) -> TrainingJob:
    """A job as a worker leaves it, trained by the real process."""
    result = JobFolder(root, algorithm, given, {"train": text}).prepare().run()
    assert result.returncode == 0, result.err
    job = TrainingJob.objects.create(
        project=actor.project,
        name=f"iris-{algorithm}",
        uid=uid_new(),
        algorithm=algorithm,
        hyperparameters=given,
        instance_type="local.cpu",
        queue="cpu",
        status="Completed",
        secondary_status="Completed",
        log=log_stream_create(),
        created_by=actor.user,
        created_at=clock.now(),
    )
    facts = manifest_facts(job=job) | {"n_features": text.split("\n")[0].count(",")}
    if algorithm == "xgboost":
        facts |= {"label_mapping": LABELS, "feature_names": FEATURES}
    packed = model_pack(model_dir=result.model_dir, archive=root / "model.tar.gz", facts=facts)
    stored = object_store().put_file(packed.path, uri(actor.project.bucket, f"jobs/{job.uid}/model.tar.gz"))
    job.artifact_uri, job.artifact_sha256 = stored.uri, stored.sha256
    job.artifact_bytes, job.manifest = stored.size_bytes, packed.manifest
    job.save()
    return job


def evaluated(
    actor: Actor, job: TrainingJob, dataset: str, host: HostDriver, public_gateway: PublicGateway
) -> Evaluation:
    model_create(actor=actor, name="model", training_job=job.name)
    made = endpoint_create(actor=actor, name="iris", variants=[VariantRequest(model="model")])
    host.until_status(made, "InService")
    public_gateway.reload()
    return carried_out(actor, dataset=dataset)


def test_a_classifier_is_scored_by_its_labels(
    alice: Actor,
    iris: IrisParts,
    iris_test: str,
    tmp_path: Path,
    host: HostDriver,
    public_gateway: PublicGateway,
) -> None:
    rows = np.array(iris.train)
    job = job_make(alice, "xgboost", XGBOOST, csv_text(rows[:, :-1], rows[:, -1]), tmp_path)
    assert job.manifest["predictor_type"] == "classifier"
    found = evaluated(alice, job, iris_test, host, public_gateway)
    assert found.status == "Completed", found.failure
    assert (found.summary["kind"], found.summary["has_k"]) == ("classification", False)
    assert (found.facts["predictor_type"], found.facts["k"]) == ("classifier", None)
    assert found.summary["value"] >= 35 / 38


@pytest.mark.parametrize("algorithm", REGRESSORS)
def test_a_regressor_is_scored_by_its_errors(
    algorithm: str,
    alice: Actor,
    iris: IrisParts,
    make_dataset: MakeDataset,
    tmp_path: Path,
    host: HostDriver,
    public_gateway: PublicGateway,
) -> None:
    """The width of a petal from the rest."""
    rows = np.array(iris.train)
    job = job_make(alice, algorithm, REGRESSORS[algorithm], csv_text(rows[:, :3], rows[:, 3]), tmp_path)
    assert job.manifest["predictor_type"] == "regressor"
    lines = [",".join(map(str, row[:4])) for row in iris.test]
    make_dataset("widths", "\n".join(["a,b,c,width", *lines]) + "\n", label="width")
    found = evaluated(alice, job, "widths", host, public_gateway)
    assert found.status == "Completed", found.failure
    assert (found.summary["kind"], found.summary["metric"]) == ("regression", "rmse")
    assert found.summary["value"] < 0.3
