"""One of everything, made by the real services and a real training process, all named `knn` in project `alpha`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from django.contrib.auth.models import User

from endpoints.services.endpoints import VariantRequest, endpoint_create
from endpoints.services.models import model_create
from jobs.models import TrainingJob
from jobs.services.datasets import dataset_create_from_sample, dataset_split
from jobs.services.execution import training_job_run
from jobs.services.training import ChannelRequest, training_job_create
from jobs.services.worker_state import WorkerState
from mlplatform.core.models import Project, Role
from mlplatform.core.people.access import project_create
from tests.api.conftest import Person, person
from tests.kept_rows import Kept

NAME = "knn"


def street_build() -> Person:
    """Iris, split as scikit-learn does, k-NN with k = 1 trained on 112 rows, a model and an endpoint of it."""
    user = User.objects.create_user("alice", password="a long password")
    alice = person("alice", project_create(user=user, name="alpha"), Role.ADMIN)
    dataset_create_from_sample(actor=alice.actor, name=NAME, sample="iris")
    dataset_split(actor=alice.actor, name=NAME, fractions={"train": 0.75, "test": 0.25}, seed=0)
    job_trained(alice, NAME)
    model_create(actor=alice.actor, name=NAME, training_job=NAME)
    endpoint_create(actor=alice.actor, name=NAME, variants=[VariantRequest(model=NAME)])
    return alice


_street: list[Person] = []
_kept = Kept(lambda: _street.append(street_build()))


def street_stand(store: Path) -> Person:
    """The street in an empty database, its objects in the folder `store`; only the first in a test process is built."""
    _kept.stand(store)
    [alice] = _street
    return replace(
        alice,
        user=User.objects.get(pk=alice.user.pk),
        project=Project.objects.get(pk=alice.project.pk),
    )


def job_trained(who: Person, name: str) -> TrainingJob:
    """A job, run here and now by the code a worker runs."""
    job = training_job_create(
        actor=who.actor,
        name=name,
        algorithm="knn",
        hyperparameters={"k": 1, "predictor_type": "classifier", "feature_dim": 4, "sample_size": 112},
        channels={
            "train": ChannelRequest(dataset=f"{NAME}-train"),
            "test": ChannelRequest(dataset=f"{NAME}-test"),
        },
    )
    assert training_job_run(job_id=job.pk, worker=WorkerState(name="test"))
    return TrainingJob.objects.select_related("log").get(pk=job.pk)
