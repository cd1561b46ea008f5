"""Fixtures of the endpoint fault tests: one stage per test file, for starting everything takes seconds.

The database is the stage's own too: on SQLite it lies in its data directory.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from endpoints.services.models import model_create
from mlplatform.core.env import runtime_dir
from mlplatform.core.models import Role
from mlplatform.core.names import uri
from mlplatform.core.people.access import Actor, access_key_create, project_create
from mlplatform.core.storage.objects import object_store
from tests.endpoints.conftest import TrainedModel, iris, knn_iris
from tests.faults.endpoint_stage import EndpointStage
from tests.migrated import migrated_file
from tests.services import platform_services

__all__ = ["alice", "data_dir", "database", "iris", "knn_iris", "stage"]


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """Short, so that sockets can lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPLATFORM_DATA_DIR", str(folder))
        patch.setattr(settings, "OBJECT_STORE_URL", f"file://{folder / 'store'}")
        yield folder
        shutil.rmtree(runtime_dir(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def database(data_dir: Path, django_db_blocker: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        connection.close()
        name = str(data_dir / "db.sqlite3")
        if connection.vendor == "postgresql":
            name = platform_services()["DATABASE_URL"].rpartition("/")[2]
        else:
            migrated_file(Path(name))
        patch.setitem(connection.settings_dict, "NAME", name)
        yield
        connection.close()


@pytest.fixture(scope="module")
def alice(database: None, knn_iris: TrainedModel) -> Actor:
    """Alice, her project `flowers` and its model `iris-knn`."""
    user = User.objects.create_user("alice")
    actor = Actor(user=user, project=project_create(user=user, name="flowers"), role=Role.ADMIN)
    address = uri(actor.project.bucket, "uploads/model.tar.gz")
    object_store().put_file(knn_iris.archive, address)
    model_create(actor=actor, name="iris-knn", artifact_uri=address, algorithm="knn")
    return actor


@pytest.fixture(scope="module")
def stage(alice: Actor, data_dir: Path) -> Iterator[EndpointStage]:
    key, secret = access_key_create(user=alice.user, project=alice.project)
    running = EndpointStage(data_dir, f"{key.key_id}.{secret}", alice.project.name)
    try:
        yield running
    finally:
        running.close()
    assert running.model_servers() == [], "model servers were left running"
