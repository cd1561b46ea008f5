"""The cast: Alice administers `alpha`, Erin edits it, Bob views it; Charlie administers `gamma`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from rest_framework.test import APIClient

from mlplatform.api import health
from mlplatform.core.models import Membership, Project, Role
from mlplatform.core.people.access import Actor, access_key_create, project_create
from mlplatform.core.people.key_attempts import attempts

BASE = "/api/v1"


@dataclass(frozen=True)
class Person:
    user: User
    project: Project
    role: Role
    token: str

    @property
    def client(self) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.token}")
        return client

    @property
    def actor(self) -> Actor:
        return Actor(user=self.user, project=self.project, role=self.role)

    def url(self, path: str) -> str:
        return f"{BASE}/projects/{self.project.name}/{path}"

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(self.url(path), query)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.post(self.url(path), body, format="json", headers=headers)

    def patch(self, path: str, body: Any) -> Any:
        return self.client.patch(self.url(path), body, format="json")

    def delete(self, path: str) -> Any:
        return self.client.delete(self.url(path))


@dataclass(frozen=True)
class Street:
    alice: Person
    store_url: str


def person(name: str, project: Project, role: Role) -> Person:
    user = User.objects.filter(username=name).first() or User.objects.create_user(
        name, password="a long password"
    )
    Membership.objects.get_or_create(user=user, project=project, defaults={"role": role})
    key, secret = access_key_create(user=user, project=project)
    return Person(user, project, role, f"{key.key_id}.{secret}")


@pytest.fixture(autouse=True)
def own_folders(settings: Any, tmp_path: Path) -> None:
    """Objects and staged uploads of a test lie in its own folder."""
    staged = tmp_path / "staged"
    staged.mkdir()
    settings.OBJECT_STORE_URL = f"file://{tmp_path / 'store'}"
    settings.FILE_UPLOAD_TEMP_DIR = str(staged)
    settings.CELERY_BROKER_URL = f"redis+socket://{tmp_path / 'nobody.sock'}"
    health._kept = None
    attempts.forget()


@pytest.fixture(scope="module")
def street(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Street]:
    """One of everything, for the tests of a module; what a test changes in the database is undone after it."""
    from tests.api.street import street_stand

    store = tmp_path_factory.mktemp("street") / "store"
    with django_db_blocker.unblock():
        alice = street_stand(store)
    yield Street(alice, f"file://{store}")
    with django_db_blocker.unblock():
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture
def alice_at_street(street: Street, settings: Any, db: None) -> Person:
    """Alice, where everything is there already."""
    settings.OBJECT_STORE_URL = street.store_url
    return street.alice


@pytest.fixture
def alice(db: None) -> Person:
    project = project_create(user=User.objects.create_user("alice", password="a long password"), name="alpha")
    return person("alice", project, Role.ADMIN)


@pytest.fixture
def erin(alice: Person) -> Person:
    return person("erin", alice.project, Role.EDITOR)


@pytest.fixture
def bob(alice: Person) -> Person:
    return person("bob", alice.project, Role.VIEWER)


@pytest.fixture
def charlie(db: None) -> Person:
    project = project_create(
        user=User.objects.create_user("charlie", password="a long password"), name="gamma"
    )
    return person("charlie", project, Role.ADMIN)
