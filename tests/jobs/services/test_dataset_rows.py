"""Rows of a version by their numbers: read once, kept within bounds, by few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs.models import DatasetVersion
from jobs.selectors import dataset_rows as rows
from jobs.services.datasets import dataset_create_from_sample
from mlplatform.core.errors import NotFound, Throttled
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor, project_create
from mlplatform.core.storage.objects import object_store


@pytest.fixture
def iris(
    db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DatasetVersion]:
    settings.OBJECT_STORE_URL = f"file://{tmp_path / 'store'}"
    monkeypatch.setattr(rows, "_kept", rows._Kept())
    user = User.objects.create_user("alice")
    actor = Actor(user=user, project=project_create(user=user, name="alpha"), role=Role.ADMIN)
    version = dataset_create_from_sample(actor=actor, name="iris", sample="iris").latest
    assert version is not None
    yield version


def test_rows_are_read_once_and_only_those_that_there_are(iris: DatasetVersion) -> None:
    found = rows.dataset_rows(version=iris, numbers=[150, 1, 151, 0])
    assert found == {1: ["5.1", "3.5", "1.4", "0.2", "setosa"], 150: ["5.9", "3", "5.1", "1.8", "virginica"]}
    object_store().delete([iris.uri])
    assert rows.dataset_rows(version=iris, numbers=[1, 150]) == found
    with pytest.raises(NotFound):
        rows.dataset_rows(version=iris, numbers=[2])


def test_what_is_kept_is_bounded_by_cells_and_the_last_asked_for_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows, "KEPT_CELLS", 10)
    kept = rows._Kept()
    kept.keep("a", {n: ["x"] * 3 for n in (1, 2, 3)})
    assert set(kept.find("a", [1])) == {1}
    kept.keep("a", {4: ["y"] * 3})
    assert set(kept.find("a", [1, 2, 3, 4])) == {1, 3, 4}
    kept.keep("b", {1: ["z"] * 11})
    assert kept.find("a", [1, 3, 4]) == kept.find("b", [1]) == {}


def test_of_too_many_who_read_at_once_the_last_is_told_to_wait(
    iris: DatasetVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "WAIT_S", 0.01)
    for _ in range(rows.AT_ONCE):
        assert rows._places.acquire(blocking=False)
    try:
        with pytest.raises(Throttled):
            rows.dataset_rows(version=iris, numbers=[1])
    finally:
        for _ in range(rows.AT_ONCE):
            rows._places.release()
    assert rows.dataset_rows(version=iris, numbers=[1])
