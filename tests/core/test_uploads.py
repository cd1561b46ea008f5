"""Resumable uploads announced at the same time: the limit of one user holds."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from mlplatform.core.errors import LimitExceeded
from mlplatform.core.models import Project, Role
from mlplatform.core.people.access import Actor
from mlplatform.core.uploads import services

N_AT_ONCE = 4


def test_of_uploads_announced_at_once_no_more_are_taken_than_a_user_may_have(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = tmp_path
    settings.MLPLATFORM_UPLOADS_PER_USER = 1
    # Between counting and announcing there is time for all the others.
    monkeypatch.setattr(services, "disk_room_check", lambda **_: time.sleep(0.02))
    actor = Actor(user=User(pk=1), project=Project(pk=1), role=Role.EDITOR)

    def announce(_: int) -> bool:
        try:
            services.upload_create(actor=actor, length=1)
        except LimitExceeded:
            return False
        return True

    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        assert sum(pool.map(announce, range(N_AT_ONCE))) == 1
    assert len(services.upload_list(actor=actor)) == 1
