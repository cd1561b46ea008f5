"""The cast: Alice administers `alpha`, Erin edits it, Bob views it; Charlie administers `gamma`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from mlplatform.api import health
from mlplatform.core.access import Actor, access_key_create, project_create
from mlplatform.core.models import Membership, Project, Role

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
