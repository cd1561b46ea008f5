"""What an attempt of a script's job needs beside any other's: its code laid out, its environment, its network.

Called by `jobs.services.execution` in the attempt's thread.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from django.conf import settings

from jobs.models import TrainingJob
from jobs.runner.outcome import Outcome, Tail
from jobs.runner.sandbox import Mount
from jobs.runner.script_environment import (
    REQUIREMENTS,
    EnvironmentCancelled,
    environment_mounts,
    requirements_read,
    script_environment,
)
from jobs.runner.script_outcome import script_outcome
from jobs.runner.source_files import ARCHIVE, source_unpack
from jobs.runner.spec import ScriptSpec
from jobs.runner.workspace import Workspace
from jobs.services.clearing import environments_dir
from jobs.services.inputs import script_spec
from mlplatform.core.errors import DataError
from mlplatform.core.log_lines import LogLines
from mlplatform.core.storage.archives import ArchiveError
from mlplatform.core.storage.store import ObjectStore
from mlplatform.core.text import text as _

PROGRAM: Final = (sys.executable, "-m", "jobs.runner.script")


class ScriptAttempt:
    """The script of one attempt: `place` its code, `prepare` its environment, then run what `spec` says."""

    def __init__(self, job: TrainingJob, workspace: Workspace, store: ObjectStore) -> None:
        self._job = job
        self._workspace = workspace
        self._store = store
        self._python = Path(sys.executable)
        self.network: bool = settings.MLPLATFORM_SCRIPT_NETWORK

    @property
    def warm_kind(self) -> str | None:
        """The kind of process that may have been started ahead; None for one with packages of its own."""
        return f"script:{self._job.framework}" if self._python == Path(sys.executable) else None

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What its sandbox shows beside the job's folder."""
        return environment_mounts(self._python)

    def place(self) -> None:
        """Lays the code out in `code/`. Raises DataError, NotFound, TransientError."""
        source = self._job.source
        assert source is not None
        archive = self._workspace.root / ARCHIVE
        self._store.download(source.uri, archive)
        with archive.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != source.archive_sha256:
                raise DataError(_("The archive of the source code is not the one that was taken in"))
        self._workspace.code_dir.rmdir()
        try:
            source_unpack(archive, self._workspace.code_dir)
        except ArchiveError as error:
            raise DataError(_("The source code cannot be unpacked: {reason}", reason=str(error))) from None
        archive.unlink()

    def has_requirements(self) -> bool:
        return (self._workspace.code_dir / REQUIREMENTS).is_file()

    def prepare(self, *, say: Callable[[LogLines], None], cancelled: Callable[[], bool]) -> None:
        """Finds or makes the environment of the requirements. Returns early when `cancelled` says so.

        Raises:
            DataError: They cannot be installed.
        """
        text = requirements_read(self._workspace.code_dir / REQUIREMENTS)
        try:
            self._python = script_environment(
                requirements=text,
                folder=environments_dir(),
                say=lambda line: say(LogLines.of(line, time.time_ns() // 1_000_000)),
                cancelled=cancelled,
            )
        except EnvironmentCancelled:
            return

    def spec(self, *, n_gpus: int) -> ScriptSpec:
        """What the job process is told of it."""
        return script_spec(job=self._job, python=str(self._python), n_gpus=n_gpus)

    def outcome(self, outcome: Outcome, *, tail: Tail, root: Path) -> Outcome:
        """The outcome, explained; `root` is the job's folder as the process saw it."""
        return script_outcome(outcome, tail=tail, code_dir=root / "code", network=self.network)
