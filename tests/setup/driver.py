"""Supervises the processes that a JSON document on the command line describes; a process of the tests."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlplatform.core.process_log import ProcessLog
from mlplatform.core.supervised_process import ProcessSpec
from mlplatform.core.supervisor import ProcessFailed, RestartPolicy, Supervisor


async def supervise(plan: dict[str, Any]) -> None:
    log = ProcessLog(sys.stdout)
    async with Supervisor(log, policy=RestartPolicy(**plan.get("policy", {}))) as supervisor:
        for stage in plan["stages"]:
            await supervisor.start(*(_spec(entry) for entry in stage))
        log.notice("all started")
        await supervisor.wait()


def _spec(entry: dict[str, Any]) -> ProcessSpec:
    ready_file = entry.pop("ready_file", None)
    is_ready: Callable[[], bool] | None = Path(ready_file).exists if ready_file else None
    code = entry.pop("code", "")
    argv = entry.pop("argv", [sys.executable, "-c", code])
    return ProcessSpec(argv=argv, is_ready=is_ready, **entry)


if __name__ == "__main__":
    try:
        asyncio.run(supervise(json.loads(sys.argv[1])))
    except ProcessFailed as error:
        print(f"failed: {error}", flush=True)
        raise SystemExit(1) from None
