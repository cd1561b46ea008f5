"""Starts dataset processes and gives their answers as values or errors. Imports neither numpy nor pyarrow.

Called by the dataset services in the web process and by workers, which must not compute themselves.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jobs.runner.enclosed import exit_status
from jobs.runner.said import said_text
from jobs.runner.sandbox import Mount, Sandbox
from mlplatform.core import BLAS_PATIENCE
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.errors import DataError, FieldError, InvalidRequest
from mlplatform.core.storage.faults import DATA_DIR, storage_full
from mlplatform.core.tabular.schema import TableSchema
from mlplatform.core.text import text as _

MEMORY_BYTES: Final = 3 * 1024**3
TIME_LIMIT_S: Final = 900
_PASSED_ON: Final = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")


@dataclass(frozen=True)
class Inspection:
    """What was found in a file: `columns` without histograms; all of it is in the file at `profile_path`."""

    schema: TableSchema
    n_rows: int
    columns: list[dict[str, Any]]
    warnings: list[str]
    profile_path: Path


@dataclass(frozen=True)
class SplitPart:
    name: str
    path: Path
    inspection: Inspection


@dataclass(frozen=True)
class Limits:
    """Of one process: writable memory, and time both on the clock and on the processor."""

    memory_bytes: int = MEMORY_BYTES
    time_s: int = TIME_LIMIT_S


ROWS_LIMITS: Final = Limits(memory_bytes=1024**3, time_s=20)
"""Somebody waits for the page that shows them."""


def file_inspect(
    path: Path,
    *,
    profile_path: Path,
    label: str | int | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    limits: Limits = Limits(),
) -> Inspection:
    """Reads the whole file; writes profile.json to `profile_path`.

    Args:
        label: Name or position of the label column.
        header, encoding, delimiter: As the user says; None is guessed.

    Raises:
        DataError: with row, column and value of what cannot be used.
        InvalidRequest: a label, encoding or delimiter that is none.
    """
    request = {
        "path": str(path),
        "profile_path": str(profile_path),
        "label": label,
        "header": header,
        "encoding": encoding,
        "delimiter": delimiter,
    }
    sandbox = _sandbox(reads=path, writes=profile_path.parent)
    return _inspection(_run("inspect", request, limits, sandbox), profile_path)


def file_relabel(
    path: Path,
    schema: TableSchema,
    *,
    n_rows: int,
    label: str | int | None,
    profile_path: Path,
    limits: Limits = Limits(),
) -> Inspection:
    """The same file with another label column. Raises DataError, InvalidRequest (field `label`)."""
    request = {
        "path": str(path),
        "profile_path": str(profile_path),
        "schema": schema.to_dict(),
        "n_rows": n_rows,
        "label": label,
    }
    sandbox = _sandbox(reads=path, writes=profile_path.parent)
    return _inspection(_run("relabel", request, limits, sandbox), profile_path)


def file_split(
    path: Path,
    schema: TableSchema,
    fractions: Mapping[str, float],
    *,
    folder: Path,
    seed: int = 0,
    shuffle: bool = True,
    stratify: bool = False,
    limits: Limits = Limits(),
) -> list[SplitPart]:
    """Parts as scikit-learn's `train_test_split` makes them, as files in `folder`. Raises DataError,
    InvalidRequest.
    """
    request = {
        "path": str(path),
        "schema": schema.to_dict(),
        "fractions": dict(fractions),
        "folder": str(folder),
        "seed": seed,
        "shuffle": shuffle,
        "stratify": stratify,
    }
    return [
        SplitPart(
            part["name"],
            _left_in(folder, part["path"]),
            _inspection(part, _left_in(folder, part["profile_path"])),
        )
        for part in _run("split", request, limits, _sandbox(reads=path, writes=folder))
    ]


def file_rows(
    path: Path, schema: TableSchema, numbers: Sequence[int], *, limits: Limits = ROWS_LIMITS
) -> dict[int, list[str]]:
    """Rows by their numbers (from 1): a text per column. A number beyond the last row is left out.

    Raises:
        DataError: the file is not what the schema says, or reading it took too long.
    """
    request = {"path": str(path), "schema": schema.to_dict(), "numbers": [int(number) for number in numbers]}
    found = _run("rows", request, limits, _sandbox(reads=path))
    return {int(number): [str(cell) for cell in cells] for number, cells in found}


def sample_write(name: str, path: Path, *, limits: Limits = Limits()) -> str:
    """Writes a sample dataset as CSV; returns its label column. Raises InvalidRequest (field `sample`)."""
    sandbox = _sandbox(writes=path.parent)
    return str(_run("sample", {"name": name, "path": str(path)}, limits, sandbox)["label"])


def _left_in(folder: Path, path: str) -> Path:
    """The process has read somebody's file: it is not believed that any file it names is one it wrote."""
    if Path(path).parent != folder:
        raise RuntimeError(f"the dataset process names {path!r}, which is not in its folder {folder}")
    return Path(path)


def _inspection(found: Mapping[str, Any], profile_path: Path) -> Inspection:
    return Inspection(
        schema=TableSchema.from_dict(found["schema"]),
        n_rows=found["n_rows"],
        columns=found["columns"],
        warnings=[said_text(warning) for warning in found["warnings"]],
        profile_path=profile_path,
    )


def _sandbox(*, writes: Path | None = None, reads: Path | None = None) -> Sandbox:
    """A process that reads what somebody sent sees that one file, and the folder for its answer, by their own names."""
    answers = [] if writes is None else [Mount(writes, writes, writable=True)]
    given = [] if reads is None else [Mount(reads, reads)]
    return Sandbox(folder=PROJECT_ROOT, mounts=(*answers, *given))


def _run(command: str, request: dict[str, Any], limits: Limits, sandbox: Sandbox) -> Any:
    request["limits"] = {
        "memory_bytes": limits.memory_bytes,
        "cpu_s": limits.time_s * 2,
        "parent_pid": 0 if sandbox.enclosed else os.getpid(),
    }
    with subprocess.Popen(
        sandbox.argv([sys.executable, "-m", "jobs.data", command]),
        cwd=PROJECT_ROOT,
        env=sandbox.environment(_environment(sandbox)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(json.dumps(request).encode(), timeout=limits.time_s)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise DataError(_("reading it took longer than {n} s", n=limits.time_s)) from None
            raise
    return _answer(out, err, exit_status(process.returncode, enclosed=sandbox.enclosed))


def _environment(sandbox: Sandbox) -> dict[str, str]:
    """Without the platform's secrets. One memory pool that gives memory back, and a bounded number of
    threads.
    """
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    threads = str(min(os.cpu_count() or 1, 4))
    if sandbox.enclosed:
        passed |= {"HOME": "/tmp", "TMPDIR": "/tmp"}
    return passed | {
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "1",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        BLAS_PATIENCE: os.environ[BLAS_PATIENCE],
        "PYTHONUTF8": "1",
    }


def _answer(out: bytes, err: bytes, returncode: int) -> Any:
    try:
        found = json.loads(out)
    except ValueError:
        if returncode in (-signal.SIGKILL, -signal.SIGXCPU):
            raise DataError(
                _("reading it took more memory or processor time than one file may take")
            ) from None
        raise RuntimeError(f"the dataset process ended with {returncode}: {_tail(err)}") from None
    if "result" in found:
        return found["result"]
    raise _error(found["error"], err)


def _error(error: Mapping[str, Any], err: bytes) -> Exception:
    if error["kind"] == "data":
        return DataError(
            said_text(error["message"]), row=error["row"], column=error["column"], value=error["value"]
        )
    if error["kind"] == "request":
        return InvalidRequest.for_fields(
            FieldError(name, said_text(message)) for name, message in error["errors"]
        )
    if error["kind"] == "memory":
        return DataError(
            _("reading it took more memory than one file may take; has it very long rows or cells?")
        )
    if error["kind"] == "storage_full":
        return storage_full(DATA_DIR)
    return RuntimeError(f"the dataset process failed: {error['message']}\n{_tail(err)}")


def _tail(err: bytes) -> str:
    return err.decode(errors="replace")[-4000:]
