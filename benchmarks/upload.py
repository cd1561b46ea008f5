"""A large upload: what it costs in memory and how fast it is, broken off once and resumed, on a platform of its own.

    python -m benchmarks.upload [--gigabytes 5]

A CSV is made while it is sent, so that the disk holds it once. The connection is closed after two thirds; HEAD says
how much has come, and the rest follows. Then a dataset is made of it, which reads it in a process of its own. Memory is
what web, gateway and inspection have of their own (without mapped files), at its highest, above what they had idle; it
is looked at five times a second. Bar: 64 MB, for sending and for reading.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import Final
from urllib.parse import urlsplit

import psutil

from benchmarks.options import options_parser
from benchmarks.platform_processes import MB, memory_by_name, platform_root
from benchmarks.platform_stage import PROJECT, Rest, platform_started
from benchmarks.verdict import verdict

BAR_MB: Final = 64.0
SETTLE_S: Final = 15.0
EVERY_S: Final = 0.2
BREAK_AT: Final = 2 / 3
LET_GO_S: Final = 3.0
"""What was under way when the connection was closed has come, and been written, by then."""
ROOM_BYTES: Final = 3_000_000_000
READ_WITHIN_S: Final = 1000.0
COUNTED: Final = ("web", "gateway", "inspection", "bwrap")
N_COLUMNS: Final = 12
BLOCK_ROWS: Final = 20_000


@dataclass
class Watch(threading.Thread):
    """The highest memory so far, in MB: of the processes that are counted, and of all."""

    root: psutil.Process
    counted: float = 0.0
    all: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while not self.ended.wait(EVERY_S):
            self.look()

    def look(self) -> None:
        found = memory_by_name(self.root)
        self.counted = max(self.counted, sum(found[name].own for name in COUNTED if name in found) / MB)
        self.all = max(self.all, sum(memory.own for memory in found.values()) / MB)

    def reset(self) -> tuple[float, float]:
        """What was highest since the last time."""
        highest = self.counted, self.all
        self.counted = self.all = 0.0
        return highest


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--gigabytes", type=float, default=5.0, help="of 10^9 bytes")
    options = parser.parse_args()
    n_bytes = int(options.gigabytes * 1e9)
    with tempfile.TemporaryDirectory(prefix="mlp-bench-", ignore_cleanup_errors=True) as folder:
        free = shutil.disk_usage(folder).free
        if free < n_bytes + ROOM_BYTES:
            sys.exit(f"{folder} has {free:,} bytes free; {n_bytes + ROOM_BYTES:,} are needed")
        with platform_started(Path(folder)) as rest:
            sys.exit(0 if _measure(rest, n_bytes) else 1)


def _measure(rest: Rest, n_bytes: int) -> bool:
    sleep(SETTLE_S)
    watch = Watch(platform_root())
    watch.look()
    idle = watch.reset()
    watch.start()
    uid, seconds, resumed_at = _send(rest, n_bytes)
    sending = watch.reset()
    print(f"{n_bytes / 1e9:g} GB, broken off and resumed at {resumed_at / 1e9:.2f} GB; {_load()}")
    print(f"  sent in {seconds:.0f} s: {n_bytes / 1e6 / seconds:.0f} MB/s")
    is_met = verdict("memory above idle while an upload is sent", sending[0] - idle[0], BAR_MB, unit="MB")
    begun = perf_counter()
    made = _dataset(rest, uid)
    reading_s = perf_counter() - begun
    watch.ended.set()
    watch.join()
    reading = watch.reset()
    print(
        f"  read in {reading_s:.0f} s: {n_bytes / 1e6 / reading_s:.0f} MB/s, {made['rows']:,} rows; {_load()}"
    )
    print(
        f"  memory of all processes, idle {idle[1]:.0f} MB: {sending[1]:.0f} sending, {reading[1]:.0f} reading"
    )
    return (
        verdict("memory above idle while it is inspected", reading[0] - idle[0], BAR_MB, unit="MB") and is_met
    )


def _load() -> str:
    return f"the machine's load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


def _send(rest: Rest, n_bytes: int) -> tuple[str, float, int]:
    """Id of the upload, seconds, and where it was resumed."""
    headers = {"Upload-Length": str(n_bytes), "Upload-Metadata": "filename bWVhc3VyZWQuY3N2"}
    told = _ask(rest, "POST", f"/api/v1/{PROJECT}/uploads/", headers)
    place = str(told["Location"])
    begun = perf_counter()
    with suppress(OSError):
        _patch(rest, place, 0, n_bytes, stop_at=int(n_bytes * BREAK_AT))
    sleep(LET_GO_S)
    offset = int(_ask(rest, "HEAD", place, {})["Upload-Offset"])
    reached = _patch(rest, place, offset, n_bytes, stop_at=n_bytes)
    if reached != n_bytes or not 0 < offset < n_bytes:
        raise RuntimeError(f"resumed at {offset:,}, and {reached:,} of {n_bytes:,} bytes have come")
    return place.split("/")[-2], perf_counter() - begun, offset


def _patch(rest: Rest, place: str, offset: int, n_bytes: int, *, stop_at: int) -> int:
    """Sends up to `stop_at`; short of the end the connection is closed. The offset that is answered."""
    connection = _connection(rest)
    connection.putrequest("PATCH", place)
    headers = {
        "Content-Length": str(n_bytes - offset),
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": str(offset),
    }
    for name, value in (rest.authorization | headers).items():
        connection.putheader(name, value)
    connection.endheaders()
    for piece in _csv(offset, stop_at, n_bytes):
        connection.send(piece)
    if stop_at < n_bytes:
        connection.close()
        return stop_at
    return int(_answered(connection)["Upload-Offset"])


def _csv(start: int, end: int, n_bytes: int) -> Iterator[bytes]:
    """Bytes `start` to `end` of a table of `n_bytes`: the same rows again and again, the last one filled up."""
    head = (",".join(f"f{column}" for column in range(N_COLUMNS)) + ",label\n").encode()
    block = b"".join(_row(row) for row in range(BLOCK_ROWS))
    at = 0
    while at < end:
        piece = head if at == 0 else block
        if at + len(piece) > n_bytes:
            piece = piece[: piece[: n_bytes - at].rfind(b"\n") + 1]
            piece += b"\n" * (n_bytes - at - len(piece))
        if at + len(piece) > start:
            yield piece[max(start - at, 0) : end - at]
        at += len(piece)


def _row(row: int) -> bytes:
    cells = (f"{(row * 7919 + column * 104_729) % 1_000_003 / 997:.6f}" for column in range(N_COLUMNS))
    return f"{','.join(cells)},{row % 3}\n".encode()


def _dataset(rest: Rest, uid: str) -> dict[str, int]:
    connection = _connection(rest)
    body = json.dumps({"name": "measured", "upload": uid, "label": "label"})
    headers = rest.authorization | {"Content-Type": "application/json"}
    connection.request("POST", f"/api/v1/{PROJECT}/datasets/", body=body, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 201:
        raise RuntimeError(f"no dataset: {answer.status} {content[:500].decode()}")
    return dict(json.loads(content))


def _ask(rest: Rest, method: str, path: str, headers: dict[str, str]) -> dict[str, str]:
    connection = _connection(rest)
    connection.request(method, path, headers=rest.authorization | headers)
    return _answered(connection)


def _answered(connection: http.client.HTTPConnection) -> dict[str, str]:
    answer = connection.getresponse()
    content = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"{answer.status}: {content[:500].decode()}")
    return dict(answer.headers.items()) | {name.title(): value for name, value in answer.headers.items()}


def _connection(rest: Rest) -> http.client.HTTPConnection:
    place = urlsplit(rest.base_url)
    return http.client.HTTPConnection(place.hostname or "", place.port, timeout=READ_WITHIN_S)


if __name__ == "__main__":
    main()
