"""A job process that is started before its job, as its worker has it: made, told to begin, ended. Django-free.

What the process does meanwhile is `jobs.runner.warm`; which ones a worker keeps is `jobs.services.warm_processes`.

Its folder is made before there is an attempt, under a name that says which worker it belongs to. With the word the
attempt's files are moved into it and it gets the attempt's name, which what it is mounted as does not notice; a link
by its first name tells whose the processes are that carry that as their mark.

The thread that starts one must outlive it, as for every job process.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobs.runner.control_groups import GroupLimits
from jobs.runner.launch import JobProcess, job_environment, job_launch, job_sandbox
from jobs.runner.workspace import Workspace
from mlplatform.core.process_identity import process_identity, process_is_gone

PREFIX: Final = "warm-"
_PROGRAM: Final = (sys.executable, "-m", "jobs.runner.warm")


@dataclass(frozen=True)
class WarmKind:
    """What has to be known before the first import, so that a process serves only jobs that agree in it.

    Args:
        name: Of the built-in algorithm, or `script:` and that of the framework.
        n_threads: Of its computations; libraries read it when they are imported.
        limits: Of its control group.
        given: The variables that the job's owner gave, which libraries and the interpreter may read at once.
        network: Whether it has the network.
    """

    name: str
    n_threads: int
    limits: GroupLimits
    given: tuple[tuple[str, str], ...] = ()
    network: bool = False


class WarmProcess:
    """One process that waits for one job."""

    def __init__(self, kind: WarmKind, work_dir: Path) -> None:
        """Starts it. Raises OSError: it cannot be."""
        self.kind = kind
        folder = work_dir / warm_name_new()
        self._workspace = Workspace(folder)
        self._sandbox = job_sandbox(root=folder, network=kind.network)
        try:
            self._workspace.make()
            self._workspace.hand_over(self._sandbox.own_user)
            self.process: JobProcess = job_launch(
                argv=[*_PROGRAM, kind.name, str(kind.n_threads)],
                environment=self._environment(self._sandbox.inside(folder)),
                marker=str(folder),
                sandbox=self._sandbox,
                limits=kind.limits,
                is_told=True,
            )
        except Exception:
            self._workspace.remove()
            raise

    @property
    def waits(self) -> bool:
        """Whether it can still be told to begin. Its imports need not be done by then."""
        return not self.process.exited() and self._workspace.root.is_dir()

    def begin(
        self, workspace: Workspace, *, program: Sequence[str], job_name: str, job_arn: str
    ) -> JobProcess | None:
        """Hands it the attempt's folder and has it go on as `program`.

        Args:
            workspace: With everything of the attempt in place, but for pipes that nobody feeds yet.
            program: The module and its arguments, with paths as the process sees them.

        Returns:
            The process, to be followed; None where it ended before it could be told. The workspace is whole then too.

        Raises:
            OSError: the files cannot be moved.
        """
        inside = self.root_of(workspace)
        try:
            folder = self._workspace.root
            workspace.move_into(folder, emptied=folder.with_name(warm_name_new()))
            workspace.hand_over(self._sandbox.own_user)
        except BaseException:
            self.end()
            raise
        word = {
            "program": list(program),
            "environment": self._environment(inside, job_name, job_arn),
            "watched": self._sandbox.enclosed,
        }
        try:
            self.process.tell(json.dumps(word).encode() + b"\n")
        except OSError:
            self._end_process()
            return None
        return self.process

    def root_of(self, workspace: Workspace) -> Path:
        """The path by which it will know the folder of the attempt."""
        return self._sandbox.inside(self._workspace.root) if self._sandbox.enclosed else workspace.root

    def end(self) -> None:
        """Ends it and removes its folder, if it has not begun a job."""
        self._end_process()
        self._workspace.remove()

    def _environment(self, folder: Path, job_name: str = "", job_arn: str = "") -> dict[str, str]:
        return job_environment(folder=folder, job_name=job_name, job_arn=job_arn, given=dict(self.kind.given))

    def _end_process(self) -> None:
        self.process.kill()
        self.process.abandon()


def warm_name_new() -> str:
    """A folder's name that was never one before and says that it is this process'."""
    return f"{PREFIX}{process_identity()}-{secrets.token_hex(4)}"


def warm_name_has_owner(name: str) -> bool:
    """Whether this is the name of a folder made ahead by a process that may still be there, or of what an attempt in
    one has left empty.
    """
    if not name.startswith(PREFIX):
        return False
    identity, _, _ = name.removeprefix(PREFIX).rpartition("-")
    return not process_is_gone(identity)


def environment_key(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Variables in a form that can be compared."""
    return tuple(sorted(given.items()))
