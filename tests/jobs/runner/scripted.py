"""Runs small scripts through the real launcher and follower."""

from __future__ import annotations

import sys
import textwrap
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobs.runner.control_groups import GroupLimits
from jobs.runner.follow import Cause, Ending, Limits, job_follow
from jobs.runner.launch import JobProcess, job_environment, job_launch, job_sandbox
from jobs.runner.outcome import Outcome, Tail, outcome_of
from jobs.runner.workspace import Workspace
from mlplatform.core.log_lines import LogLines

GIB = 1024**3


@dataclass
class Recorder:
    """A sink and orders for one process: keeps the lines, gives the order that `when` finds."""

    when: Callable[[list[str]], Cause | None] = lambda lines: None
    lines: list[str] = field(default_factory=list)
    full: bool = False

    def write(self, lines: LogLines) -> None:
        self.lines += lines.texts

    def order(self) -> Cause | None:
        return self.when(self.lines)


@dataclass
class Followed:
    ending: Ending
    outcome: Outcome
    lines: list[str]
    workspace: Workspace


def start(
    workspace: Workspace,
    script: str,
    limits: GroupLimits | None = None,
    *,
    environment: Mapping[str, str] | None = None,
) -> JobProcess:
    path = workspace.root / "code" / "script.py"
    path.write_text(textwrap.dedent(script), encoding="utf-8")
    sandbox = job_sandbox(root=workspace.root)
    workspace.hand_over(sandbox.own_user)
    given = {"GIVEN": "1", **(environment or {})}
    return job_launch(
        argv=[sys.executable, str(sandbox.inside(path))],
        environment=job_environment(
            folder=sandbox.inside(workspace.root), job_name="job", job_arn="arn", given=given
        ),
        marker=str(workspace.root),
        sandbox=sandbox,
        limits=limits,
    )


def follow(
    folder: Path,
    script: str,
    *,
    recorder: Recorder | None = None,
    max_runtime_s: float = 30,
    memory_bytes: int = 8 * GIB,
    grace_s: float = 10,
    started: Callable[[JobProcess], None] = lambda process: None,
    group_limits: GroupLimits | None = None,
) -> Followed:
    """Runs `script` to its end in a fresh workspace."""
    workspace = Workspace(folder / "attempt")
    workspace.make()
    recorder = recorder or Recorder()
    process = start(workspace, script, group_limits)
    started(process)
    limits = Limits(
        max_runtime_s=max_runtime_s, memory_bytes=memory_bytes, grace_s=grace_s, shutdown_grace_s=grace_s
    )
    ending = job_follow(process=process, sink=recorder, orders=recorder, limits=limits)
    outcome = outcome_of(
        ending=ending,
        root=workspace.root,
        tail=Tail(recorder.lines[-40:], max(1, len(recorder.lines) - 39)),
        max_runtime_s=int(max_runtime_s),
        memory_limit_bytes=memory_bytes,
    )
    return Followed(ending, outcome, recorder.lines, workspace)


def order_when_printed(word: str, cause: Cause) -> Callable[[list[str]], Cause | None]:
    return lambda lines: cause if any(word in line for line in lines) else None


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
