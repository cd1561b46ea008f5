"""Deletion in two phases: invisible with the rows, gone from the store later, and never lost or done too early."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from jobs.models import Dataset, DatasetVersion
from jobs.services.datasets import dataset_delete
from mlplatform.core import clock
from mlplatform.core.errors import TransientError
from mlplatform.core.keeping.tombstones import BACKOFF_MAX_S, BATCH, backoff_s, tombstones_carry_out
from mlplatform.core.models import ObjectTombstone, Role
from mlplatform.core.names import uid_new, uri
from mlplatform.core.people.access import Actor, project_create
from mlplatform.core.storage.objects import object_store, objects_bury, objects_take_back
from tests.jobs.training.cast import dataset_make

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    settings.OBJECT_STORE_URL = f"file://{tmp_path / 'store'}"
    return tmp_path


@pytest.fixture
def alice() -> Actor:
    user = User.objects.create_user("alice")
    return Actor(user=user, project=project_create(user=user, name="alpha"), role=Role.ADMIN)


@pytest.fixture
def store_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Says whether the store is away from now on."""
    store = object_store()
    delete = store.delete
    state = {"away": True}

    def maybe(uris: list[str]) -> None:
        if state["away"]:
            raise TransientError("The object store is away")
        delete(uris)

    monkeypatch.setattr(store, "delete", maybe)
    return lambda away: state.update(away=away)


def _flowers(alice: Actor) -> list[str]:
    version = dataset_make(alice, "flowers")
    object_store().put_bytes(b"{}", version.profile_uri)
    return [version.uri, version.profile_uri]


def _sizes(uris: list[str]) -> list[int | None]:
    return [object_store().size(each) for each in uris]


def _put(alice: Actor, n: int = 1) -> list[str]:
    """Objects that no row refers to."""
    found = [uri(alice.project.bucket, f"datasets/{uid_new()}/data.csv") for _ in range(n)]
    for each in found:
        object_store().put_bytes(b"x", each)
    return found


@pytest.fixture
def clock_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the platform's clock so many seconds ahead of now."""
    begun = clock.now()
    return lambda seconds: monkeypatch.setattr(clock, "now", lambda: begun + timedelta(seconds=seconds))


def test_a_store_away_keeps_tombstones_until_it_is_back(
    alice: Actor, store_away: Callable[[bool], None], clock_at: Callable[[float], None]
) -> None:
    store_away(False)
    uris = _flowers(alice)
    store_away(True)
    dataset_delete(actor=alice, name="flowers")
    assert not Dataset.objects.exists()
    assert sorted(ObjectTombstone.objects.values_list("uri", flat=True)) == sorted(uris)
    assert {(row.n_tries, row.last_error) for row in ObjectTombstone.objects.all()} == {
        (1, "The object store is away")
    }
    assert tombstones_carry_out().n_taken == 0, "it is not asked again at once"
    waited_s = 0.0
    for n_tries in range(2, 16):
        waited_s += backoff_s(n_tries) + 1
        clock_at(waited_s)
        assert tombstones_carry_out().n_failed == 2
        assert {row.n_tries for row in ObjectTombstone.objects.all()} == {n_tries}
    assert None not in _sizes(uris)
    store_away(False)
    clock_at(waited_s + BACKOFF_MAX_S + 1)
    assert tombstones_carry_out().n_deleted == 2
    assert _sizes(uris) == [None, None] and not ObjectTombstone.objects.exists()


def test_a_transaction_that_is_rolled_back_leaves_rows_and_objects(alice: Actor) -> None:
    uris = _flowers(alice)
    with pytest.raises(RuntimeError), transaction.atomic():
        dataset_delete(actor=alice, name="flowers")
        assert ObjectTombstone.objects.count() == 2
        raise RuntimeError("after the deletion, before the commit")
    assert Dataset.objects.get().name == "flowers"
    assert not ObjectTombstone.objects.exists()
    assert None not in _sizes(uris)


def test_an_object_that_a_row_refers_to_is_kept_although_it_has_a_tombstone(alice: Actor) -> None:
    uris = _flowers(alice)
    ObjectTombstone.objects.bulk_create([ObjectTombstone(uri=each, reason="by mistake") for each in uris])
    carried = tombstones_carry_out()
    assert (carried.n_kept, carried.n_deleted) == (2, 0)
    assert None not in _sizes(uris) and not ObjectTombstone.objects.exists()


def test_an_object_under_the_id_of_a_version_that_is_gone_is_kept_for_the_one_that_shares_it(
    alice: Actor,
) -> None:
    data, _profile = _flowers(alice)
    version = DatasetVersion.objects.get()
    DatasetVersion.objects.filter(pk=version.pk).update(uid=uid_new())
    ObjectTombstone.objects.create(uri=data, reason="by mistake")
    assert tombstones_carry_out().n_kept == 1
    assert object_store().size(data) == version.size_bytes


def test_a_dataset_made_again_under_its_name_has_other_objects(
    alice: Actor, store_away: Callable[[bool], None], clock_at: Callable[[float], None]
) -> None:
    """Addresses carry fresh ids, so a tombstone can never mean an object that came after it."""
    store_away(False)
    before = _flowers(alice)
    store_away(True)
    dataset_delete(actor=alice, name="flowers")
    store_away(False)
    after = _flowers(alice)
    assert set(before).isdisjoint(after)
    clock_at(60)
    assert tombstones_carry_out().n_deleted == 2
    assert _sizes(before) == [None, None] and None not in _sizes(after)


def test_two_schedulers_at_once_delete_each_object_once(
    alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    uris = _put(alice, 40)
    ObjectTombstone.objects.bulk_create([ObjectTombstone(uri=each, reason="test") for each in uris])
    asked: list[str] = []
    delete = object_store().delete

    def noted(given: list[str]) -> None:
        asked.extend(given)
        delete(given)

    monkeypatch.setattr(object_store(), "delete", noted)
    together = threading.Barrier(2)

    def carry_out() -> None:
        try:
            together.wait(30)
            while tombstones_carry_out(limit=7).n_taken:
                pass
        finally:
            connection.close()

    threads = [threading.Thread(target=carry_out) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(asked) == sorted(uris)
    assert not ObjectTombstone.objects.exists()


def test_one_that_cannot_be_deleted_does_not_hold_up_the_others(alice: Actor) -> None:
    stuck, *others = _put(alice, 5)
    path = object_store().local_path(stuck)
    assert path is not None
    path.unlink()
    (path / "in the way").mkdir(parents=True)
    objects_bury([stuck, *others], reason="test")
    assert _sizes(others) == [None] * 4
    row = ObjectTombstone.objects.get()
    assert (row.uri, row.n_tries) == (stuck, 1) and "could not delete" in row.last_error


def test_many_are_left_to_the_sweep(alice: Actor) -> None:
    uris = _put(alice, 60)
    objects_bury(uris, reason="test")
    assert ObjectTombstone.objects.count() == 60 and None not in _sizes(uris)
    assert tombstones_carry_out(limit=BATCH).n_deleted == 60
    assert set(_sizes(uris)) == {None}


def test_what_did_not_come_about_is_buried_where_the_store_is_away(
    alice: Actor, store_away: Callable[[bool], None], clock_at: Callable[[float], None]
) -> None:
    store_away(False)
    uris = _put(alice, 2)
    store_away(True)
    objects_take_back(uris)
    assert ObjectTombstone.objects.filter(uri__in=uris).count() == 2
    store_away(False)
    clock_at(60)
    assert tombstones_carry_out().n_deleted == 2


def test_what_came_about_after_all_is_not_taken_back(alice: Actor) -> None:
    """The answer to a commit was lost, not the commit."""
    uris, others = _flowers(alice), _put(alice, 2)
    objects_take_back([*uris, *others])
    assert None not in _sizes(uris) and _sizes(others) == [None, None]


def test_pauses_grow_to_an_hour_and_no_further() -> None:
    pauses = [backoff_s(n) for n in range(40)]
    assert pauses == sorted(pauses) and pauses[0] == 5 and pauses[-1] == BACKOFF_MAX_S


@pytest.fixture(autouse=True)
def _no_rows_left() -> Iterator[None]:
    yield
    ObjectTombstone.objects.all().delete()
