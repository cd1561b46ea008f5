"""An S3 store and other services that tests start for themselves, and end again."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.polling import wait_until


@contextmanager
def child_running(argv: Sequence[str], folder: Path) -> Iterator[None]:
    """A quiet process of its own session, in a folder that is made."""
    folder.mkdir(exist_ok=True)
    child = subprocess.Popen(
        argv,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        child.kill()
        child.wait()


@contextmanager
def store_running(
    address: str, folder: Path, *, port: int = 9000, buckets: Sequence[str] = ("mlplatform",)
) -> Iterator[str]:
    """The address of an S3 store with these buckets, which answers."""
    url = f"http://{address}:{port}"
    with child_running([sys.executable, "-m", "moto.server", "-H", address, "-p", str(port)], folder):
        for bucket in buckets:
            made = f"{url}/{bucket}"
            wait_until(
                lambda made=made: _put(made), timeout_s=30, every_s=0.2, what="an answer of the S3 store"
            )
        yield url


def _put(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=5):
            return True
    except OSError:
        return False
