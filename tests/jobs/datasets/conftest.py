"""Members of two projects, and two datasets."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from jobs.models import Dataset
from jobs.services import datasets as services
from mlplatform.core.models import Membership, Role
from mlplatform.core.people.access import Actor, project_create
from tests.jobs.datasets.kept import CSV


@pytest.fixture(autouse=True)
def data_dir(settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    settings.OBJECT_STORE_URL = f"file://{tmp_path / 'store'}"
    return tmp_path


def _member(name: str, project, role: Role) -> Actor:
    user = User.objects.create_user(name)
    Membership.objects.create(user=user, project=project, role=role)
    return Actor(user=user, project=project, role=role)


@pytest.fixture
def alice(db) -> Actor:
    user = User.objects.create_user("alice")
    return Actor(user=user, project=project_create(user=user, name="alpha"), role=Role.ADMIN)


@pytest.fixture
def bob(alice) -> Actor:
    return _member("bob", alice.project, Role.VIEWER)


@pytest.fixture
def erin(alice) -> Actor:
    return _member("erin", alice.project, Role.EDITOR)


@pytest.fixture
def charlie(db) -> Actor:
    user = User.objects.create_user("charlie")
    return Actor(user=user, project=project_create(user=user, name="gamma"), role=Role.ADMIN)


@pytest.fixture
def flowers(erin) -> Dataset:
    return services.dataset_create_from_upload(
        actor=erin, name="flowers", file=io.BytesIO(CSV), filename="flowers.csv", label="kind"
    )


@pytest.fixture
def iris(erin) -> Dataset:
    return services.dataset_create_from_sample(actor=erin, name="iris", sample="iris")
