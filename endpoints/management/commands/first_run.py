"""`manage.py first_run`: gives an empty platform its first user, and something real to look at.

Accounts first (`--accounts-only`, fast), then the sample (`--sample`): Iris uploaded, split, trained, deployed and
called once through the same services as everything a person does. Both by default. Run again, it does nothing.
"""

from __future__ import annotations

import json
import secrets
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.db import transaction

from endpoints.models import Endpoint, Model
from endpoints.selectors.samples import endpoint_sample_row
from endpoints.services.endpoints import VariantRequest, endpoint_create, endpoint_invoke
from endpoints.services.models import model_create
from jobs.models import Dataset, TrainingJob
from jobs.services.datasets import dataset_create_from_sample, dataset_split
from jobs.services.training import ChannelRequest, training_job_create
from mlplatform.core.errors import DataError, PlatformError
from mlplatform.core.models import Membership, Project, Role
from mlplatform.core.people.access import Actor, project_create
from mlplatform.core.startup.banner import PREFIX
from mlplatform.core.status import EndpointStatus, TrainingJobStatus

USER, PROJECT, NAME = "admin", "default", "iris-knn"
WAIT_S = 180.0
POLL_S = 0.2
_PASSWORD_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_HYPERPARAMETERS = {"k": "1", "feature_dim": "4", "sample_size": "112", "predictor_type": "classifier"}


class SampleFailed(Exception):
    """The sample cannot go on; the platform is usable nevertheless."""


class Command(BaseCommand):
    help = "Makes the first user and project and, on an empty platform, the Iris sample."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--accounts-only", action="store_true", help="user and project, no sample")
        parser.add_argument("--sample", action="store_true", help="the sample only; accounts must be there")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["sample"]:
            self._accounts()
        if not options["accounts_only"]:
            self._sample()

    # ---- accounts

    def _accounts(self) -> None:
        if User.objects.filter(is_superuser=True).exists():
            return
        password = _first_password()
        with transaction.atomic():
            user = User.objects.create_superuser(USER, password=password)
            project = Project.objects.filter(name=PROJECT).first()
            if project is None:
                project_create(user=user, name=PROJECT, display_name="Default")
            else:
                Membership.objects.create(project=project, user=user, role=Role.ADMIN)
        self._announce(f"Sign in as {USER} with the first password {password}")
        self._announce("It is shown only now. Change it under Preferences.")

    def _announce(self, text: str) -> None:
        """A line for the frame that `manage.py up` shows; on a terminal as it is."""
        prefix = "" if self.stdout.isatty() else PREFIX
        self.stdout.write(f"{prefix}{text}")
        self.stdout.flush()

    # ---- sample

    def _sample(self) -> None:
        actor = _actor()
        if actor is None or _has_content(actor.project):
            return
        began = time.monotonic()
        try:
            self._dataset(actor)
            self._train(actor)
            self._deploy(actor)
            self._call(actor)
        except (SampleFailed, PlatformError, DataError) as error:
            self._say(f"the Iris sample stopped here: {error}. The platform is ready to use all the same.")
            return
        self._say(f"the Iris sample is ready after {time.monotonic() - began:.0f} s: see endpoint {NAME}")

    def _dataset(self, actor: Actor) -> None:
        self._say("loading the Iris dataset and splitting it into 112 rows to train and 38 to test")
        dataset_create_from_sample(actor=actor, name="iris", sample="iris")
        dataset_split(actor=actor, name="iris", fractions={"train": 0.75, "test": 0.25}, seed=0)

    def _train(self, actor: Actor) -> None:
        self._say(f"training {NAME}: k-NN with k = 1")
        job = training_job_create(
            actor=actor,
            name=NAME,
            algorithm="knn",
            hyperparameters=_HYPERPARAMETERS,
            channels={
                "train": ChannelRequest(dataset="iris-train"),
                "test": ChannelRequest(dataset="iris-test"),
            },
            instance_type="local.cpu",
        )
        _wait(f"training job {NAME}", lambda: _job_ended(job))
        if job.status != TrainingJobStatus.COMPLETED:
            raise SampleFailed(f"training job {NAME} is {job.status}: {job.failure_reason}")
        scores = ", ".join(
            f"{name} {value:.4f}" for name, value in job.final_metrics.items() if "accuracy" in name
        )
        self._say(f"{NAME} is trained{': ' + scores if scores else ''}")

    def _deploy(self, actor: Actor) -> None:
        model_create(actor=actor, name=NAME, training_job=NAME)
        endpoint = endpoint_create(actor=actor, name=NAME, variants=[VariantRequest(model=NAME)])
        _wait(f"endpoint {NAME}", lambda: _endpoint_settled(endpoint))
        if endpoint.status != EndpointStatus.IN_SERVICE:
            raise SampleFailed(f"endpoint {NAME} is {endpoint.status}: {endpoint.failure_reason}")
        self._say(f"endpoint {NAME} is InService")

    def _call(self, actor: Actor) -> None:
        endpoint = Endpoint.objects.get(project=actor.project, name=NAME)
        row = endpoint_sample_row(endpoint=endpoint)
        answers: list[Any] = []

        def answered() -> bool:
            answers.append(endpoint_invoke(actor=actor, name=NAME, body=row.encode()))
            return bool(answers[-1].status == 200)

        _wait("the first prediction", answered, within_s=15.0)
        self._say(f"it predicts {row} as {_label(endpoint, answers[-1].body)}")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _first_password() -> str:
    """20 letters and digits that cannot be mistaken for one another: about 99 bits."""
    letters = "".join(secrets.choice(_PASSWORD_ALPHABET) for _ in range(20))
    return "-".join(letters[start : start + 5] for start in range(0, 20, 5))


def _actor() -> Actor | None:
    user = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    membership = Membership.objects.filter(user=user, project__name=PROJECT).select_related("project").first()
    if user is None or membership is None:
        return None
    return Actor(user=user, project=membership.project, role=Role(membership.role))


def _has_content(project: Project) -> bool:
    kinds: tuple[Any, ...] = (Dataset, TrainingJob, Model, Endpoint)
    return any(kind.objects.filter(project=project).exists() for kind in kinds)


def _job_ended(job: TrainingJob) -> bool:
    job.refresh_from_db()
    return job.ended


def _endpoint_settled(endpoint: Endpoint) -> bool:
    endpoint.refresh_from_db()
    return endpoint.status in {EndpointStatus.IN_SERVICE, EndpointStatus.FAILED}


def _wait(what: str, condition: Callable[[], bool], *, within_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise SampleFailed(f"{what} was not ready within {within_s:.0f} s")
        time.sleep(POLL_S)


def _label(endpoint: Endpoint, body: bytes) -> str:
    code = json.loads(body)["predictions"][0]["predicted_label"]
    variant = (endpoint.live or endpoint.wanted).variants.select_related("model").get()
    mapping = variant.model.manifest.get("label_mapping") or {}
    return next((text for text, known in mapping.items() if known == code), f"{code:g}")
