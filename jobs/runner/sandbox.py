"""What one process sees of the machine, as the command line that starts it. Django-free, starts nothing itself.

In a sandbox (bubblewrap) a process sees the interpreter, the platform's source and the system's libraries read-only,
what is mounted for it, and nothing else: no other process, no network, no home, nothing of the data directory.
Where there is no bubblewrap the same program runs as it is, under the same resource limits. Processes are started
by `jobs.runner.enclosed`; whether there is isolation is `jobs.runner.isolation`.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from jobs.runner.control_groups import N_PROCESSES
from jobs.runner.isolation import Isolation, isolation
from mlplatform.core.env import PROJECT_ROOT, data_dir

_TEMPORARY: Final = Path("/tmp")
HOST_NAME: Final = "algo-1"
N_FILES: Final = 65536
_FIRST_USER: Final = 61184
_N_USERS: Final = 4336
"""The range that systemd keeps for users that exist for one service's life only."""
_ENTERED: Final = 0o711
"""Of a folder that bubblewrap enters before the user is changed; the folders around it keep strangers out."""
_SOURCES: Final = ("jobs", "endpoints", "monitoring", "mlplatform")
_TOP: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
_READABLE: Final = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)
_READABLE_WITH_NETWORK: Final = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
)
_SEPARATE: Final = (
    "--die-with-parent",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--hostname",
    HOST_NAME,
    "--cap-drop",
    "ALL",
)


@dataclass(frozen=True)
class Mount:
    """A file or folder of this machine and where the process sees it."""

    outside: Path
    inside: Path
    writable: bool = False

    def words(self) -> list[str]:
        return _bind("--bind" if self.writable else "--ro-bind", self.outside, self.inside)


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """The view of one process.

    Args:
        mounts: What it sees beside interpreter, source and libraries; later ones lie upon earlier ones.
        folder: Its working folder, as this machine names it; in one of the mounts or the platform's source.
        network: Whether it may reach the network. What a built-in algorithm needs is in its folder.
        user: The user id it gets where `isolation.own_user` allows it; 0 leaves it as it is.
        temporary: Whether it gets an empty `/tmp` in memory; otherwise one of the mounts is its `/tmp`.
    """

    mounts: tuple[Mount, ...] = ()
    folder: Path | None = None
    network: bool = False
    user: int = 0
    temporary: bool = True
    isolation: Isolation = field(default_factory=isolation)

    @property
    def enclosed(self) -> bool:
        return self.isolation.enclosed

    def inside(self, path: Path) -> Path:
        """The path by which the process knows a file of this machine."""
        if not self.enclosed:
            return path
        for mount in reversed(self.mounts):
            if path.is_relative_to(mount.outside):
                return mount.inside / path.relative_to(mount.outside)
        return path

    def argv(self, program: Sequence[str], *, status_fd: int | None = None) -> list[str]:
        """The command line that runs `program` with this view.

        Args:
            program: With paths as the process sees them. Files that its arguments name by absolute path, such as a
                script, become visible.
            status_fd: Where bubblewrap writes JSON about the process' start and end.
        """
        if not self.enclosed:
            return [*_limited(shared_user=True), *program]
        report = [] if status_fd is None else ["--json-status-fd", str(status_fd)]
        return [
            self.isolation.program,
            *report,
            *_SEPARATE,
            *([] if self.network else ["--unshare-net"]),
            *self._keep_to_change_user(),
            *self._view(program),
            *(["--chdir", str(self.inside(self.folder))] if self.folder else ["--chdir", "/"]),
            "--",
            *self._change_user(),
            *_limited(shared_user=not self.own_user),
            *program,
        ]

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """`given` and what libraries ask for where the user has no entry in the list of users."""
        return {"USER": "job", "LOGNAME": "job", **given} if self.enclosed else dict(given)

    @property
    def own_user(self) -> int:
        """The user id that the process gets; 0 where it keeps ours."""
        return self.user if self.isolation.own_user else 0

    def _keep_to_change_user(self) -> list[str]:
        kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
        return [word for name in kept for word in ("--cap-add", name)] if self.own_user else []

    def _change_user(self) -> list[str]:
        if not self.own_user:
            return []
        return [
            shutil.which("setpriv") or "setpriv",
            f"--reuid={self.user}",
            f"--regid={self.user}",
            "--clear-groups",
            "--bounding-set=-all",
            "--inh-caps=-all",
        ]

    def _view(self, program: Sequence[str]) -> list[str]:
        # `/tmp` first: the platform itself may have been put below it.
        first = [mount for mount in self.mounts if mount.inside == _TEMPORARY]
        words = ["--proc", "/proc", "--dev", "/dev"]
        if self.temporary:
            words += [*(["--perms", "1777"] if self.own_user else []), "--tmpfs", str(_TEMPORARY)]
        words += [word for mount in first for word in mount.words()]
        words += [*_system(), *(_try_all(_READABLE_WITH_NETWORK) if self.network else [])]
        words += [word for mount in self.mounts if mount not in first for word in mount.words()]
        for path in self._named_files(program):
            words += _bind("--ro-bind", path, path)
        return [*words, "--remount-ro", "/dev", "--remount-ro", "/"]

    def _named_files(self, program: Sequence[str]) -> Iterator[Path]:
        for path in map(Path, program):
            if path.is_absolute() and path.is_file() and not self._is_visible(path):
                yield path

    def _is_visible(self, path: Path) -> bool:
        if any(path.is_relative_to(place) for place in (*map(Path, _TOP), *_interpreter())):
            return True
        mounted = (mount for mount in self.mounts if path.is_relative_to(mount.inside))
        return any((mount.outside / path.relative_to(mount.inside)).exists() for mount in mounted)


def hand_over(folder: Path, user: int) -> None:
    """Gives all that is in the folder to the user that a process runs as; 0 for our own. Files that are shared with
    the object store stay whose they are; everybody may read them.

    Call before the process starts: what lies in the folder is still known.
    """
    if not user:
        return
    folder.chmod(_ENTERED)
    for parent, _, names in os.walk(folder):
        os.chown(parent, user, user)
        for path in (Path(parent, name) for name in names):
            if path.lstat().st_nlink == 1:
                os.chown(path, user, user, follow_symlinks=False)


def user_of(name: str) -> int:
    """The user id for what is called `name`: the same name has always the same one, others rarely."""
    return _FIRST_USER + zlib.crc32(name.encode()) % _N_USERS


def _system() -> list[str]:
    """The operating system's programs and libraries, the interpreter and our source; the data directory never."""
    words: list[str] = []
    visible = [Path(top) for top in _TOP]
    for top in visible:
        if top.is_symlink():
            words += ["--symlink", str(top.readlink()), str(top)]
        elif top.is_dir():
            words += _bind("--ro-bind", top, top)
    for folder in (*_interpreter(), *(PROJECT_ROOT / name for name in _SOURCES)):
        if not any(folder.is_relative_to(place) for place in visible):
            words += _bind("--ro-bind-try", folder, folder)
            visible.append(folder)
    words += _try_all(_READABLE)
    if any(data_dir().is_relative_to(place) for place in visible):
        words += ["--tmpfs", str(data_dir())]
    return words


def _interpreter() -> list[Path]:
    """The folders of the interpreter: the virtual environment, and what it was made from, by both of its names."""
    base = Path(sys.base_prefix)
    return list(dict.fromkeys([Path(sys.prefix), base, base.resolve()]))


def _try_all(paths: Sequence[str]) -> list[str]:
    return [word for path in paths for word in _bind("--ro-bind-try", Path(path), Path(path))]


def _bind(how: str, outside: Path, inside: Path) -> list[str]:
    """Folders that bubblewrap makes of itself on the way would be closed to another user."""
    return ["--dir", str(inside.parent), how, str(outside), str(inside)]


def _limited(*, shared_user: bool) -> list[str]:
    """Limits that the kernel keeps per process.

    The number of processes is counted per user: with a user of its own it is the job's own number, else those of
    everybody on the machine come on top.
    """
    program = shutil.which("prlimit")
    if program is None:
        return []
    n_processes = N_PROCESSES + (_threads_of_machine() if shared_user else 0)
    return [
        program,
        "--core=0",
        f"--nofile={_bounded(resource.RLIMIT_NOFILE, N_FILES)}",
        f"--nproc={_bounded(resource.RLIMIT_NPROC, n_processes)}",
        "--",
    ]


def _bounded(which: int, wanted: int) -> int:
    hard = resource.getrlimit(which)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _threads_of_machine() -> int:
    try:
        running_of_all = Path("/proc/loadavg").read_text(encoding="ascii").split()[3]
        return int(running_of_all.partition("/")[2])
    except (OSError, ValueError, IndexError):
        return 4 * N_PROCESSES
