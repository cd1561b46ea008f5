"""The one log of many processes: who reads it may go away, where it lies may be full."""

from __future__ import annotations

import os
from pathlib import Path

from mlplatform.core.process_log import ProcessLog

FULL = Path("/dev/full")


def test_a_log_on_a_full_disk_loses_lines_and_ends_nothing(tmp_path: Path) -> None:
    closed: list[str] = []
    log_file = tmp_path / "log"
    log_file.touch()
    with log_file.open("w") as stream:
        log = ProcessLog(stream, on_closed=lambda: closed.append("closed"))
        room = os.dup(stream.fileno())
        full = os.open(FULL, os.O_WRONLY)
        os.dup2(full, stream.fileno())
        for number in range(2000):
            log.line("web", f"line {number} while there is no room")
        os.dup2(room, stream.fileno())
        log.line("web", "there is room again")
        os.close(room)
        os.close(full)
    assert closed == []
    assert log_file.read_text().endswith("there is room again\n")


def test_a_log_that_nobody_reads_any_more_says_so_once() -> None:
    closed: list[str] = []
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        log = ProcessLog(stream, on_closed=lambda: closed.append("closed"))
        log.line("web", "somebody reads")
        os.close(reading)
        log.line("web", "nobody reads")
        log.line("web", "nobody reads")
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)
    assert closed == ["closed"]
