"""`manage.py up`: the whole platform on one machine, in the foreground.

It composes this package and does no work of its own; every part is a process. It runs without Django, because
it stays in memory as long as the platform does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import io
import os
import signal
import sys
import time
from collections.abc import Sequence

from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.open_files import open_files_allow
from mlplatform.core.process_log import ProcessLog
from mlplatform.core.startup.addresses import addresses_check, addresses_given
from mlplatform.core.startup.banner import Banner
from mlplatform.core.startup.data_folder import data_folder_lock, data_folder_prepare, sockets_remove
from mlplatform.core.startup.options import Options, StartRefused, options_export, options_read
from mlplatform.core.startup.port import port_check
from mlplatform.core.startup.processes import (
    back_processes,
    colour_of,
    front_processes,
    is_first_start,
    migrate_process,
    services_process,
)
from mlplatform.core.startup.redis import redis_is_private, redis_process
from mlplatform.core.supervisor import ProcessFailed, Supervisor

_PR_SET_PDEATHSIG = 1
_MAX_OPEN_FILES = 65_536


def main(arguments: Sequence[str]) -> int:
    """Runs the platform to its end: 0 when asked to end, 1 when it could not start or go on."""
    _end_with_parent()
    open_files_allow(_MAX_OPEN_FILES)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may know fewer characters than a process writes
    try:
        options = options_read(arguments)
        options_export(options)
        _addresses_check()
        port_check(options)
        data_folder_prepare(options)
        with data_folder_lock(options):
            sockets_remove()
            asyncio.run(_run(options, ProcessLog(sys.stdout)))
    except (StartRefused, ProcessFailed) as error:
        print(f"mlplatform: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        _flush_quietly()
    return 0


async def _run(options: Options, log: ProcessLog) -> None:
    started = time.monotonic()
    is_first = is_first_start(options.data_dir)
    banner = Banner(log, options)
    log.notice("starting" if not is_first else f"starting for the first time in {options.data_dir}")
    async with Supervisor(log, cwd=PROJECT_ROOT) as supervisor:
        if redis_is_private():
            await supervisor.start(redis_process(options.data_dir, colour=colour_of("redis")))
        if addresses_given():
            await supervisor.run(services_process())
        await supervisor.run(migrate_process())
        await supervisor.start(*front_processes(options))
        log.notice(f"open after {time.monotonic() - started:.1f} s")
        if not is_first:
            banner.show()
        await supervisor.start(*back_processes(banner))
        await supervisor.wait()
    log.notice("ended")


def _addresses_check() -> None:
    """Raises StartRefused."""
    wrong = addresses_check()
    if wrong:
        raise StartRefused("; ".join(trouble.line for trouble in wrong))


def _end_with_parent() -> None:
    """For `make run` and tests, which wait for this process but cannot end it when they are killed.

    The variable has the parent's process id, because the parent may be gone already.
    """
    parent_pid = os.environ.pop("MLPLATFORM_ENDS_WITH_PARENT", "")
    if parent_pid:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if str(os.getppid()) != parent_pid:
            raise SystemExit(f"mlplatform: the process that asked for it ({parent_pid}) is gone")


def _flush_quietly() -> None:
    """The reader of our output may be gone; Python would complain about that while it ends."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
