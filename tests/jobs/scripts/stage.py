"""Scripts' jobs for tests: made of files given as text, run by the real worker side in the test's own thread."""

from __future__ import annotations

import io
import tarfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.models import TrainingJob
from jobs.selectors.sources import source_get
from jobs.services.channels import ChannelRequest
from jobs.services.execution import training_job_run
from jobs.services.scripts import ScriptRequest
from jobs.services.sources import source_create
from jobs.services.training import training_job_create
from jobs.services.worker_state import WorkerState
from mlplatform.core.logs import log_read
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from tests.jobs.training.cast import dataset_make

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ROOT / "tests" / "scripts"
ENSEMBLE = ROOT / "docs" / "examples" / "ensemble"
SAVE = "open('/opt/ml/model/weights', 'w').write('w')"


def folder_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def texts(**files: str) -> dict[str, bytes]:
    """`train_py="…"` as {"train.py": b"…"}."""
    return {
        f"{name[:-3]}.{name[-2:]}" if name[-3] == "_" else name: textwrap.dedent(text).encode()
        for name, text in files.items()
    }


def script_job(
    actor: Actor,
    files: Mapping[str, bytes],
    *,
    framework: str = "python",
    entry_point: str = "train.py",
    channels: Mapping[str, ChannelRequest] | None = None,
    **changes: Any,
) -> TrainingJob:
    source = source_create(actor=actor, files=files)
    return training_job_create(
        actor=actor,
        name=changes.pop("name", None),
        algorithm="script",
        script=ScriptRequest(framework=framework, entry_point=entry_point, source=source.uid),
        hyperparameters=changes.pop("hyperparameters", {}),
        channels=channels or {},
        **changes,
    )


def run(job: TrainingJob, worker: WorkerState) -> TrainingJob:
    """One attempt; the job as it is afterwards."""
    assert training_job_run(job_id=job.pk, worker=worker)
    job.refresh_from_db()
    return job


def log_of(job: TrainingJob) -> str:
    return log_read(stream=job.log).text


def archive_names(address: str) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(object_store().get_bytes(address))) as tar:
        return tar.getnames()


def table(actor: Actor, name: str, text: str, *, filename: str) -> int:
    """A dataset whose file is just this text; its bytes."""
    header, *rows = text.splitlines()
    columns = tuple(header.split(","))
    version = dataset_make(
        actor,
        name,
        text=text,
        rows=[tuple(row.split(",")) for row in rows],
        columns=columns,
        types=("fractional",) * len(columns),
        label=len(columns) - 1,
    )
    version.filename = filename
    version.save()
    return len(text.encode())


def source_paths(actor: Actor, uid: str) -> list[str]:
    return [file["path"] for file in source_get(actor=actor, uid=uid).files]
