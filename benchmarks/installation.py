"""An installation of a benchmark's own in this process: settings, tables, one who measures. No benchmark itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.test import Client

    from mlplatform.core.people.access import Actor


def installation_make(folder: str | Path, *, database_url: str = "") -> None:
    """Loads Django with its data in `folder` and migrates its database: an SQLite file there, or a named one."""
    os.environ.pop("DATABASE_URL", None)
    os.environ |= {"MLPLATFORM_DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "mlplatform.settings"}
    os.environ.setdefault("MLPLATFORM_LOG_LEVEL", "ERROR")
    if database_url:
        os.environ["DATABASE_URL"] = database_url
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def measurer_new(table: bytes) -> tuple[Actor, str]:
    """Somebody with a project, and the address of a table in it."""
    from django.contrib.auth.models import User

    from mlplatform.core.models import Role
    from mlplatform.core.names import uri
    from mlplatform.core.people.access import Actor, project_create
    from mlplatform.core.storage.objects import object_store

    user = User.objects.create_user("measurer")
    project = project_create(user=user, name="measured")
    place = uri(project.bucket, "table.csv")
    object_store().put_bytes(table, place)
    return Actor(user, project, Role.ADMIN), place


def clients_of(actor: Actor) -> tuple[Client, Client]:
    """The person's browser, and the same person's access key; an error is an answer to both."""
    from django.test import Client

    from mlplatform.core.people.access import access_key_create

    key, secret = access_key_create(user=actor.user, project=actor.project)
    bearer = {"Authorization": f"Bearer {key.key_id}.{secret}"}
    browser = Client(raise_request_exception=False, SERVER_NAME="localhost")
    browser.force_login(actor.user)
    return browser, Client(raise_request_exception=False, SERVER_NAME="localhost", headers=bearer)
