"""The spool and its uploader: whole lines or none, bounded, and nothing lost that was taken in."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from endpoints.capture.recorder import Recorder
from endpoints.capture.rule import CapturePlace, CaptureRule, LiveCapture
from endpoints.capture.spool import Spool, SpoolLimits, SpoolRefused
from endpoints.capture.uploader import CapturedPart, Uploader
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.errors import TransientError
from tests.disks import MIB, disk_mounted

AT = 1644859506.25
IRIS = CapturePlace("default", "iris", 7, "AllTraffic", "s3://bucket/data-capture")
CANARY = CapturePlace("default", "iris", 7, "canary", "s3://bucket/data-capture")
LINE = b'{"eventVersion":"0"}\n'
RULE = CaptureRule("s3://bucket/data-capture")


class Store:
    """What the uploader hands over, and whether it is taken."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.parts: list[CapturedPart] = []
        self.error: Exception | None = None
        self.told: list[tuple[str | None, bool, dict[int, int]]] = []

    def keep(self, part: CapturedPart) -> None:
        if self.error is not None:
            raise self.error
        self.parts.append(part)
        self.objects[part.uri] = part.path.read_bytes()

    def report(self, problem: str | None, is_paused: bool, dropped: Mapping[int, int]) -> None:
        self.told.append((problem, is_paused, dict(dropped)))


def uploader(spool: Spool, store: Store, recorder: Recorder | None = None, *, floor: int = 0) -> Uploader:
    return Uploader(
        spool,
        recorder or Recorder(spool),
        keep=store.keep,
        report=store.report,
        floor_bytes=lambda _total: floor,
        every_s=0.0,
    )


def take(recorder: Recorder, *, body: bytes = b"1,2", share: int = 100) -> None:
    live = LiveCapture(
        CaptureRule(RULE.destination, sampling_percent=share),
        project="default",
        endpoint="iris",
        endpoint_id=7,
    )
    csv = [(b"content-type", b"text/csv")]
    recorder.take(live, "AllTraffic", request=csv, body=body, answer=csv, pieces=(b"0", b"\n"))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path, SpoolLimits())


def test_a_closed_file_is_stored_by_endpoint_variant_and_hour_and_is_gone_here(spool: Spool) -> None:
    store = Store()
    for place in (IRIS, IRIS, CANARY):
        spool.append(place, LINE, now=AT)
    lift = uploader(spool, store)
    lift.turn()
    assert store.objects == {}, "they are open"
    spool.close()
    lift.turn()
    assert sorted(store.objects.values()) == [LINE, LINE * 2]
    for address in store.objects:
        folder, _, name = address.rpartition("/")
        assert folder.startswith("s3://bucket/data-capture/iris/")
        assert folder.endswith("/2022/02/14/17") and name.startswith("25-06-250-") and name.endswith(".jsonl")
    assert {part.n_records for part in store.parts} == {1, 2}
    assert list(spool.folder.iterdir()) == []


def test_a_file_ends_with_its_hour_its_age_and_its_size(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SpoolLimits(file_bytes=2 * len(LINE), age_s=60))
    store = Store()
    lift = uploader(spool, store)
    for _ in range(3):
        spool.append(IRIS, LINE, now=AT)
    lift.turn()
    assert list(store.objects.values()) == [LINE * 2], "the full one"
    spool.append(IRIS, LINE, now=AT + 3600)
    lift.turn()
    assert len(store.objects) == 2, "that of the hour before"
    spool.close_old(now=AT + 3600 + 59)
    lift.turn()
    assert len(store.objects) == 2
    spool.close_old(now=AT + 3600 + 61)
    lift.turn()
    assert sorted(address.split("/")[-2] for address in store.objects) == ["17", "17", "18"]


def test_a_store_that_is_away_keeps_everything_here_says_so_and_gets_it_afterwards(spool: Spool) -> None:
    store = Store()
    store.error = TransientError("it is away")
    lift = uploader(spool, store)
    for _ in range(3):
        spool.append(IRIS, LINE, now=AT)
        spool.close()
        lift.turn()
    assert store.objects == {} and store.told[-1][0] is not None and "it is away" in store.told[-1][0]
    assert not store.told[-1][1], "requests are captured all the same"
    store.error = None
    lift.turn()
    assert list(store.objects.values()) == [LINE] * 3
    assert store.told[-1] == (None, False, {})
    n_told = len(store.told)
    lift.turn()
    assert len(store.told) == n_told, "nothing is told while nothing changes"


def test_a_destination_that_is_refused_keeps_no_other_waiting(spool: Spool) -> None:
    class Picky(Store):
        def keep(self, part: CapturedPart) -> None:
            n_asked.append(part.place.destination)
            if part.place == refused:
                raise TransientError("File exists")
            super().keep(part)

    n_asked: list[str] = []
    refused, store = CapturePlace("default", "iris", 7, "AllTraffic", "s3://bucket/a-file"), Picky()
    for second, place in enumerate((refused, refused, IRIS)):
        spool.append(place, LINE, now=AT + second)
        spool.close()
    uploader(spool, store).turn()
    assert list(store.objects.values()) == [LINE]
    assert n_asked == [refused.destination, IRIS.destination], "once a turn"
    assert store.told[-1][0] is not None and "File exists" in store.told[-1][0]
    assert len(list(spool.folder.glob("*.jsonl"))) == 2


def test_a_file_that_was_stored_before_its_process_died_is_stored_at_the_same_place(spool: Spool) -> None:
    spool.append(IRIS, LINE, now=AT)
    spool.close()
    kept = {path.name: path.read_bytes() for path in spool.folder.iterdir()}
    store = Store()
    lift = uploader(spool, store)
    lift.turn()
    for name, content in kept.items():
        (spool.folder / name).write_bytes(content)
    lift.turn()
    assert len(store.objects) == 1 and len(store.parts) == 2


def test_what_a_killed_process_has_taken_in_is_stored_by_the_next(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from endpoints.capture.rule import CapturePlace
from endpoints.capture.spool import Spool, SpoolLimits
spool = Spool(Path({str(tmp_path)!r}), SpoolLimits())
place = CapturePlace("default", "iris", 7, "AllTraffic", "s3://bucket/data-capture")
for number in range(100):
    spool.append(place, b"%d\\n" % number, now={AT})
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT_ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL
    store = Store()
    uploader(Spool(tmp_path, SpoolLimits()), store).turn()
    assert list(store.objects.values()) == [b"".join(b"%d\n" % number for number in range(100))]


def test_half_a_line_is_cut_off(spool: Spool) -> None:
    spool.append(IRIS, LINE, now=AT)
    spool.close()
    (path,) = spool.folder.glob("*.jsonl")
    with path.open("ab") as file:
        file.write(LINE[:7])
    store = Store()
    uploader(spool, store).turn()
    assert list(store.objects.values()) == [LINE] and store.parts[0].n_records == 1


def test_a_spool_that_is_full_refuses_and_goes_on_when_it_was_emptied(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SpoolLimits(total_bytes=3 * len(LINE)))
    for _ in range(3):
        spool.append(IRIS, LINE, now=AT)
    with pytest.raises(SpoolRefused, match="wait for the object store"):
        spool.append(IRIS, LINE, now=AT)
    spool.close()
    lift = uploader(spool, Store())
    lift.turn()
    lift.turn()
    spool.append(IRIS, LINE, now=AT)


def test_what_a_backlog_leaves_is_room_before_all_of_it_is_stored(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SpoolLimits(total_bytes=3 * len(LINE)))

    class Slow(Store):
        def keep(self, part: CapturedPart) -> None:
            super().keep(part)
            if len(self.parts) == 3:
                spool.append(IRIS, LINE, now=AT + 9)

    for second in range(3):
        spool.append(IRIS, LINE, now=AT + second)
        spool.close()
    store = Slow()
    uploader(spool, store).turn()
    assert len(store.objects) == 3 and store.told[-1] == (None, False, {})


def test_a_disk_below_its_floor_is_left_alone(spool: Spool) -> None:
    store, recorder = Store(), Recorder(spool)
    lift = uploader(spool, store, recorder, floor=2**62)
    lift.turn()
    take(recorder)
    lift.turn()
    problem, is_paused, dropped = store.told[-1]
    assert problem is not None and "must stay free" in problem and is_paused and dropped == {7: 1}
    assert list(spool.folder.glob("*.jsonl")) == []


def test_a_full_disk_loses_records_and_nothing_else_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with disk_mounted(tmp_path / "disk", size_bytes=2 * MIB) as disk:
        folder = disk.path / "capture"
        folder.mkdir()
        spool, store = Spool(folder, SpoolLimits()), Store()
        recorder = Recorder(spool)
        lift = uploader(spool, store, recorder)
        take(recorder)
        disk.fill(but_bytes=64 * 1024)
        for _ in range(40):
            take(recorder, body=b"1," * 5000)
        assert len([one for one in caplog.records if "not captured" in one.message]) == 1
        lift.turn()
        problem, is_paused, dropped = store.told[-1]
        assert problem is not None and "disk" in problem and is_paused and 0 < dropped[7] < 40
        disk.free()
        take(recorder)
        spool.close()
        lift.turn()
        assert store.told[-1] == (None, False, {})
        (content,) = store.objects.values()
        assert len(content.splitlines()) == 42 - dropped[7]
        assert all(line.startswith(b"{") and line.endswith(b"}") for line in content.splitlines())


def test_a_folder_that_is_gone_fails_nothing_and_says_why(tmp_path: Path) -> None:
    recorder = Recorder(Spool(tmp_path / "never", SpoolLimits()))
    take(recorder)
    assert recorder.n_dropped == {7: 1}
    assert recorder.problem is not None and "not captured" in recorder.problem


def test_a_folder_that_cannot_be_made_is_told_and_made_as_soon_as_it_can_be(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    spool, store = Spool(tmp_path / "data" / "capture", SpoolLimits()), Store()
    recorder = Recorder(spool)
    lift = uploader(spool, store, recorder)
    lift.turn()
    assert store.told[-1][0] is not None and store.told[-1][1]
    (tmp_path / "data").unlink()
    lift.turn()
    take(recorder)
    assert store.told[-1] == (None, False, {}) and len(list(spool.folder.glob("*.jsonl"))) == 1


def test_a_record_beyond_the_limit_is_counted_and_is_no_problem_of_others(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SpoolLimits(record_bytes=1000))
    recorder = Recorder(spool)
    take(recorder, body=b"1" * 1001)
    assert recorder.n_dropped == {7: 1} and recorder.problem is None
    take(recorder)
    assert len(list(tmp_path.glob("*.jsonl"))) == 1


@pytest.mark.parametrize("percent", [1, 20, 50, 100])
def test_of_many_requests_the_share_that_was_asked_for_is_taken(spool: Spool, percent: int) -> None:
    """Within five standard deviations: one run in a million fails by chance."""
    n = 4000
    recorder = Recorder(spool)
    for _ in range(n):
        take(recorder, share=percent)
    (path,) = spool.folder.glob("*.jsonl")
    share = percent / 100
    allowed = 5 * (n * share * (1 - share)) ** 0.5
    assert abs(path.read_bytes().count(b"\n") - n * share) <= allowed


def test_many_places_take_no_more_files_than_may_be_open(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SpoolLimits(n_files=4))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(20):
        spool.append(CapturePlace("default", "iris", 7, f"v{number}", "s3://b/c"), LINE, now=AT + number)
    assert len(list(Path("/proc/self/fd").iterdir())) - before == 4
    spool.close()
    store = Store()
    uploader(spool, store).turn()
    assert len(store.objects) == 20
