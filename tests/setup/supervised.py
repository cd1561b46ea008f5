"""A supervisor in a process of its own, as the tests see it: its log, its signals, the processes under it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

import psutil

from tests.polling import wait_until

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("driver.py")


class Supervised:
    """Use as `with Supervised(...)`; leaving kills what is left, also after a failed test."""

    def __init__(self, *stages: list[dict[str, Any]], **plan: Any) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, str(DRIVER), json.dumps({"stages": stages, **plan})],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.pid = self._popen.pid
        self.lines: list[str] = []
        self._seen: set[int] = set()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.descendants()
        for pid in (self.pid, *self._seen):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._popen.wait()
        self._reader.join(timeout=5)
        if self._popen.stdout:
            self._popen.stdout.close()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def until(self, pattern: str) -> re.Match[str]:
        """Waits for the pattern in the log."""
        wait_until(
            lambda: re.search(pattern, self.text) is not None,
            what=lambda: f"{pattern!r} in the log:\n{self.text}",
        )
        match = re.search(pattern, self.text)
        assert match
        return match

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        code = self._popen.wait(timeout=20)
        self._reader.join(timeout=5)
        return code

    def descendants(self) -> list[psutil.Process]:
        try:
            found = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        self._seen |= {process.pid for process in found}
        return found

    def _read(self) -> None:
        assert self._popen.stdout
        for line in self._popen.stdout:
            self.lines.append(line.rstrip("\n"))


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run (a zombie does not)."""
    return [
        process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]
