"""The cast at the pages: Alice administers `alpha`, Erin edits it, Bob views it; Charlie administers `gamma`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from mlplatform.core.models import Membership, Project, Role
from mlplatform.core.people.access import Actor, project_create


@dataclass(frozen=True)
class Visitor:
    """Somebody in front of the pages, signed in."""

    user: User
    project: Project
    role: Role

    @property
    def client(self) -> Client:
        client = Client()
        client.force_login(self.user)
        return client

    @property
    def actor(self) -> Actor:
        return Actor(user=self.user, project=self.project, role=self.role)

    def url(self, page: str, /, **kwargs: Any) -> str:
        return reverse(f"web:{page}", kwargs={"project": self.project.name, **kwargs})

    def get(
        self, page: str, /, query: dict[str, Any] | None = None, htmx: bool = False, **kwargs: Any
    ) -> Any:
        headers = {"HX-Request": "true"} if htmx else {}
        return self.client.get(self.url(page, **kwargs), query or {}, headers=headers)

    def post(
        self, page: str, /, data: dict[str, Any] | None = None, htmx: bool = False, **kwargs: Any
    ) -> Any:
        headers = {"HX-Request": "true"} if htmx else {}
        return self.client.post(self.url(page, **kwargs), data or {}, headers=headers)


@pytest.fixture(autouse=True)
def own_folders(settings: Any, tmp_path: Path) -> None:
    """Objects and staged uploads of a test lie in its own folder."""
    staged = tmp_path / "staged"
    staged.mkdir()
    settings.OBJECT_STORE_URL = f"file://{tmp_path / 'store'}"
    settings.FILE_UPLOAD_TEMP_DIR = str(staged)
    settings.CELERY_BROKER_URL = f"redis+socket://{tmp_path / 'nobody.sock'}"


def visitor(name: str, project: Project, role: Role) -> Visitor:
    user, _ = User.objects.get_or_create(username=name)
    Membership.objects.get_or_create(user=user, project=project, defaults={"role": role})
    return Visitor(user, project, role)


@pytest.fixture
def alice(db: None) -> Visitor:
    user = User.objects.create_user("alice", password="a long password")
    return visitor("alice", project_create(user=user, name="alpha"), Role.ADMIN)


@pytest.fixture
def erin(alice: Visitor) -> Visitor:
    return visitor("erin", alice.project, Role.EDITOR)


@pytest.fixture
def bob(alice: Visitor) -> Visitor:
    return visitor("bob", alice.project, Role.VIEWER)


@pytest.fixture
def charlie(db: None) -> Visitor:
    user = User.objects.create_user("charlie", password="a long password")
    return visitor("charlie", project_create(user=user, name="gamma"), Role.ADMIN)


@pytest.fixture(scope="module")
def built_street(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """One of everything, all named `knn` in `alpha`, for the tests of a module. Gives the store's address."""
    from tests.api.street import street_stand

    store = tmp_path_factory.mktemp("street") / "store"
    with django_db_blocker.unblock():
        street_stand(store)
    yield f"file://{store}"
    with django_db_blocker.unblock():
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture
def alice_at_street(built_street: str, settings: Any, db: None) -> Visitor:
    """Alice, where everything is there already."""
    settings.OBJECT_STORE_URL = built_street
    return visitor("alice", Project.objects.get(name="alpha"), Role.ADMIN)
