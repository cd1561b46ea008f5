"""Orphans: what a dead process left in the store is found and removed, and nothing else ever is."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from endpoints.models import Endpoint, EndpointConfig, Model, TableRun, TransformJob
from jobs.models import DatasetVersion
from jobs.services.channels import ChannelRequest
from mlplatform.core import clock
from mlplatform.core.keeping.object_references import object_is_ours, object_prefixes
from mlplatform.core.keeping.orphans import orphans_bury, orphans_report
from mlplatform.core.keeping.sweeps import sweep_now, sweeps_turn
from mlplatform.core.keeping.tombstones import tombstones_carry_out
from mlplatform.core.logs import log_stream_create
from mlplatform.core.models import ObjectTombstone, Role, SweepState
from mlplatform.core.names import uid_new, uri
from mlplatform.core.people.access import Actor, project_create
from mlplatform.core.storage.objects import object_store
from tests.jobs.training.cast import dataset_make, job_make

DAY_S = 24 * 3600
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
def tomorrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Sets the platform's clock past the grace time of everything there is."""
    later = clock.now() + timedelta(seconds=DAY_S + 60)
    return lambda: monkeypatch.setattr(clock, "now", lambda: later)


def _put(alice: Actor, key: str) -> str:
    address = uri(alice.project.bucket, key)
    object_store().put_bytes(b"left over", address)
    return address


def _left_by_a_kill(alice: Actor) -> list[str]:
    """What every service of the platform writes, without the row."""
    uid = uid_new()
    return [
        _put(alice, f"datasets/{uid}/data.csv"),
        _put(alice, f"datasets/{uid}/profile.json"),
        _put(alice, f"training-jobs/{uid}/2/output/model.tar.gz"),
        _put(alice, f"models/{uid}/model.tar.gz"),
        _put(alice, f"table-runs/{uid}/rows.jsonl"),
    ]


def _users_own(alice: Actor) -> list[str]:
    return [
        _put(alice, key)
        for key in (
            "mine/data.csv",
            "datasets/mine.csv",
            "datasets/flowers/data.csv",
            f"datasets/{uid_new()}",
            f"datasets-old/{uid_new()}/data.csv",
            f"mine/datasets/{uid_new()}/data.csv",
            f"{uid_new()}/data.csv",
        )
    ]


def _kept_by_rows(alice: Actor) -> list[str]:
    """An object per kind of row that refers to one."""
    version = _flowers(alice)
    job = job_make(alice, "trained", channels={"train": ChannelRequest(dataset="flowers")})
    job.artifact_uri = _put(alice, f"training-jobs/{job.uid}/1/output/model.tar.gz")
    job.save()
    model = Model.objects.create(
        project=alice.project,
        name="iris",
        uid=uid_new(),
        algorithm="knn",
        artifact_uri=_put(alice, f"models/{uid_new()}/model.tar.gz"),
        artifact_sha256="",
        artifact_bytes=1,
        created_by=alice.user,
        created_at=clock.now(),
    )
    config = EndpointConfig.objects.create(
        project=alice.project, name="c", created_by=alice.user, created_at=clock.now()
    )
    now = {"created_at": clock.now(), "created_by": alice.user}
    endpoint = Endpoint.objects.create(
        project=alice.project, name="e", uid=uid_new(), wanted=config, updated_at=clock.now(), **now
    )
    run = TableRun.objects.create(
        endpoint=endpoint,
        dataset_version=version,
        uid=uid_new(),
        result_uri=_put(alice, f"table-runs/{uid_new()}/rows.jsonl"),
        **now,
    )
    return [version.uri, version.profile_uri, job.artifact_uri, model.artifact_uri, run.result_uri]


def _flowers(alice: Actor) -> DatasetVersion:
    version = dataset_make(alice, "flowers")
    object_store().put_bytes(b"{}", version.profile_uri)
    return version


def _there(uris: list[str]) -> list[bool]:
    return [object_store().size(each) is not None for each in uris]


def test_every_room_says_what_it_refers_to() -> None:
    assert object_prefixes() == {
        "async-inference",
        "datasets",
        "evaluations",
        "models",
        "sources",
        "table-runs",
        "training-jobs",
        "transform-jobs",
    }


def test_the_sweep_removes_what_is_left_over_and_nothing_else(
    alice: Actor, tomorrow: Callable[[], None]
) -> None:
    kept, own, left = _kept_by_rows(alice), _users_own(alice), _left_by_a_kill(alice)
    assert not any(object_is_ours(each) for each in own)
    assert sweep_now("orphans").n_done == 0, "younger than the grace time"
    assert all(_there([*kept, *own, *left]))
    tomorrow()
    swept = sweep_now("orphans")
    assert swept.n_done == len(left)
    assert swept.detail["n_orphans"] == 5 and swept.detail["n_bytes"] == 5 * len("left over")
    assert not any(_there(left)) and all(_there([*kept, *own]))
    assert sweep_now("orphans").detail["n_orphans"] == 0
    assert not ObjectTombstone.objects.exists()


def test_what_a_transform_has_stored_stays_as_long_as_it_runs(
    alice: Actor, tomorrow: Callable[[], None]
) -> None:
    """It names its results when all of them are there, which may take days."""
    model = Model.objects.create(
        project=alice.project,
        name="iris",
        uid=uid_new(),
        algorithm="knn",
        artifact_sha256="",
        artifact_bytes=1,
        created_by=alice.user,
        created_at=clock.now(),
    )
    job = TransformJob.objects.create(
        project=alice.project,
        name="long",
        uid=uid_new(),
        model=model,
        log=log_stream_create(),
        created_by=alice.user,
        created_at=clock.now(),
    )
    stored = _put(alice, f"transform-jobs/{job.uid}/1/output/a.csv.out")
    tomorrow()
    assert sweep_now("orphans").detail["n_orphans"] == 0
    assert _there([stored]) == [True]
    TransformJob.objects.update(status="Failed")
    assert sweep_now("orphans").n_done == 1
    assert _there([stored]) == [False]


def test_a_grace_of_nought_removes_nothing_by_itself(alice: Actor, settings: Any) -> None:
    from mlplatform.core.keeping.sweeps import _SWEEPS

    settings.MLPLATFORM_ORPHAN_GRACE_S = 0
    assert not _SWEEPS["orphans"].wanted()


def test_what_waits_as_a_tombstone_is_no_orphan(alice: Actor, tomorrow: Callable[[], None]) -> None:
    first, *_rest = _left_by_a_kill(alice)
    ObjectTombstone.objects.create(uri=first, reason="dataset", due_at=clock.now() + timedelta(days=9))
    tomorrow()
    assert orphans_report(grace_s=DAY_S).n_orphans == 4


def test_a_copy_is_as_old_as_its_address_and_not_as_its_bytes(alice: Actor) -> None:
    """In a folder a copy is a link, whose time of change is that of the old file."""
    artifact = _put(alice, f"training-jobs/{uid_new()}/1/output/model.tar.gz")
    path = object_store().local_path(artifact)
    assert path is not None
    os.utime(path, (0, 0))
    copy = uri(alice.project.bucket, f"models/{uid_new()}/model.tar.gz")
    object_store().copy(artifact, copy)
    assert orphans_report(grace_s=60).n_orphans == 0
    assert orphans_bury(grace_s=60) == 0 and object_store().size(copy)


def test_a_row_written_between_the_look_and_the_deletion_keeps_its_object(alice: Actor) -> None:
    version = _flowers(alice)
    data_uri, profile_uri = version.uri, version.profile_uri
    DatasetVersion.objects.filter(pk=version.pk).update(uri="", profile_uri="")
    assert orphans_report(grace_s=-60).n_orphans == 2
    ObjectTombstone.objects.bulk_create(
        [ObjectTombstone(uri=each, reason="orphan") for each in (data_uri, profile_uri)]
    )
    DatasetVersion.objects.filter(pk=version.pk).update(uri=data_uri, profile_uri=profile_uri)
    assert tombstones_carry_out().n_kept == 2
    assert all(_there([data_uri, profile_uri]))


def test_a_store_that_looks_like_another_database_s_is_left_alone(
    alice: Actor, tomorrow: Callable[[], None]
) -> None:
    left = [each for _ in range(4) for each in _left_by_a_kill(alice)]
    version = _flowers(alice)
    tomorrow()
    swept = sweep_now("orphans")
    assert (swept.n_done, swept.detail["held_back"], swept.detail["n_orphans"]) == (0, True, 20)
    assert all(_there([*left, version.uri]))
    assert orphans_bury(grace_s=DAY_S) == 20, "a person who has looked may"
    assert not any(_there(left))


def test_objects_of_projects_that_this_database_does_not_know_are_left_alone(
    alice: Actor, tomorrow: Callable[[], None]
) -> None:
    address = uri("mlplatform-999999999999", f"datasets/{uid_new()}/data.csv")
    object_store().put_bytes(b"x", address)
    tomorrow()
    assert orphans_report(grace_s=0).n_objects == 0
    assert object_store().size(address) == 1


def test_rows_whose_object_is_missing_are_told(alice: Actor) -> None:
    version = _flowers(alice)
    object_store().delete([version.uri])
    report = orphans_report(grace_s=DAY_S)
    assert report.n_dangling == 1
    found = report.dangling[0]
    assert (str(found.title), found.row_id, found.uri) == ("dataset version", version.pk, version.uri)


def test_a_store_that_cannot_be_listed_is_told_and_looked_at_again(alice: Actor) -> None:
    in_the_way = object_store().local_path(uri(alice.project.bucket, "models"))
    assert in_the_way is not None
    in_the_way.parent.mkdir(parents=True)
    in_the_way.symlink_to(in_the_way)
    with pytest.raises(CommandError, match=r"could not list .*models"):
        call_command("orphans")
    sweeps_turn()
    assert "could not list" in SweepState.objects.get(name="orphans").error
    in_the_way.unlink()
    SweepState.objects.update(due_at=clock.now())
    sweeps_turn()
    assert SweepState.objects.get(name="orphans").error == ""


def test_the_command_reports_and_removes_when_told(alice: Actor) -> None:
    left = _left_by_a_kill(alice)
    version = _flowers(alice)
    object_store().delete([version.profile_uri])
    said = _command("--grace-s", "0")
    assert "5 of 6 objects are referred to by nothing: 45 bytes" in said
    assert left[0] in said and f"dataset version {version.pk}: {version.profile_uri}" in said
    assert "Nothing was removed" in said and all(_there(left))
    told = json.loads(_command("--grace-s", "0", "--json", "--delete", "--list", "2"))
    assert (told["n_objects"], told["n_orphans"], told["n_bytes"]) == (6, 5, 45)
    assert (told["n_buried"], told["n_dangling"], len(told["orphans"])) == (5, 1, 2)
    assert datetime.fromisoformat(told["oldest_at"]).tzinfo == UTC
    assert not any(_there(left))
    assert object_store().size(version.uri)


def test_a_thousand_objects_more_are_a_few_queries_more(alice: Actor) -> None:
    def n_queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert orphans_report(grace_s=0).n_orphans == 0
        return len(captured)

    few = n_queries()
    version = _flowers(alice)
    folder = object_store().local_path(version.uri)
    assert folder is not None
    rows = []
    for number in range(1, 1001):
        uid = uid_new()
        path = folder.parents[1] / uid / "data.csv"
        path.parent.mkdir()
        path.touch()
        row = DatasetVersion.objects.get(pk=version.pk)
        row.pk, row.uid, row.number = None, uid, number + 1
        row.uri = row.profile_uri = uri(alice.project.bucket, f"datasets/{uid}/data.csv")
        rows.append(row)
    DatasetVersion.objects.bulk_create(rows)
    assert n_queries() - few < 20


def test_the_last_look_is_remembered(alice: Actor) -> None:
    _flowers(alice)
    sweep_now("orphans")
    state = SweepState.objects.get(name="orphans")
    assert state.ended_at and state.error == "" and state.detail["n_objects"] == 2


def _command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("orphans", *arguments, stdout=out)
    return out.getvalue()
