"""A Postgres of a test's own: a private cluster on a unix socket, where the machine has Postgres' programs.

Postgres refuses to run as root, so root starts it as an unprivileged user. Without the programs its tests are skipped
and say so; nothing outside its temporary folder is touched.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from tests.polling import wait_until

USER = "mlplatform"
_UNPRIVILEGED = ("postgres", "nobody")


class Postgres:
    """A cluster. `stop` and `start` it; every database of it is reached by `url`.

    Args:
        address: Where it listens for other machines, and lets everybody in; nowhere but on its socket by default.
    """

    def __init__(self, folder: Path, programs: Path, *, address: str = "") -> None:
        self._folder = folder
        self._address = address
        self._programs = programs
        self._as_user = _as_user()
        self._popen: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgres://{USER}@{self._address or quote(str(self._folder), safe='')}/{database}"

    def make(self) -> None:
        if self._as_user:
            shutil.chown(self._folder, self._as_user.pw_uid, self._as_user.pw_gid)
        self._run("initdb", "-D", "data", "-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C", "--no-sync")
        if self._address:
            with (self._folder / "data" / "pg_hba.conf").open("a") as file:
                file.write("host all all 0.0.0.0/0 trust\n")

    def start(self) -> None:
        """Starts it, without waiting for the disk: what a power cut does is no question here."""
        settings = {
            "listen_addresses": self._address,
            "unix_socket_directories": self._folder,
            "fsync": "off",
        }
        settings |= {"max_connections": "400", "log_min_messages": "fatal"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._popen = subprocess.Popen(
            self._argv("postgres", "-D", "data", *options),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self._identity(),
        )
        wait_until(self._answers, timeout_s=60, every_s=0.1, what="an answer of Postgres")

    def stop(self) -> None:
        """As after a fault: every connection is cut at once, and it recovers at the next start."""
        assert self._popen is not None
        self._popen.send_signal(signal.SIGQUIT)
        self._popen.wait(30)

    def database_new(self, name: str) -> str:
        """Makes a database; its address."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def cut_all(self, database: str) -> int:
        """Ends every connection to the database; how many there were."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            cut = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database]
            )
            return len(cut.fetchall())

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            self._argv(program, *arguments),
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=120,
            **self._identity(),
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _argv(self, program: str, *arguments: str) -> list[str]:
        return [str(self._programs / program), *arguments]

    def _identity(self) -> dict[str, Any]:
        if self._as_user is None:
            return {}
        return {"user": self._as_user.pw_uid, "group": self._as_user.pw_gid, "extra_groups": []}


@contextmanager
def postgres_running(*, address: str = "") -> Iterator[Postgres]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no Postgres on this machine (as root on Debian: apt-get install postgresql)")
    # Not in pytest's own folder, which another user may not enter; and a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="mlp-pg-"))
    cluster = Postgres(folder, programs, address=address)
    try:
        cluster.make()
        cluster.start()
        yield cluster
    finally:
        if cluster._popen is not None and cluster._popen.poll() is None:
            cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def postgres_programs() -> Path | None:
    """The folder of the newest `initdb`, which Debian keeps off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(on_path).resolve().parent if on_path else None


def _as_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return next(known[name] for name in _UNPRIVILEGED if name in known)
