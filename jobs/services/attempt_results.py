"""Stores what an attempt made: its model as `model.tar.gz`, and what else it left as `output.tar.gz`.

Called by `jobs.services.execution` when the job's processes are gone, in the attempt's thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jobs.models import TrainingJob
from jobs.runner.model_facts import model_facts_read
from jobs.runner.outcome import Outcome
from jobs.runner.pack import Packed, model_pack, output_pack
from jobs.runner.workspace import Workspace
from jobs.services.attempt_steps import AttemptSteps
from jobs.services.inputs import manifest_facts
from jobs.services.lifecycle import Artifact, StoredOutput
from mlplatform.core.errors import TransientError
from mlplatform.core.names import uri
from mlplatform.core.status import SecondaryStatus
from mlplatform.core.storage.store import ObjectStore, StoredObject
from mlplatform.core.text import text as _
from mlplatform.core.text import text_of

MODEL_ARCHIVE: Final = "model.tar.gz"
OUTPUT_ARCHIVE: Final = "output.tar.gz"
_NAMED_MAX: Final = 10


class AttemptResults:
    """The results of one attempt, to be stored under a key of its own."""

    def __init__(
        self, job: TrainingJob, attempt: int, workspace: Workspace, store: ObjectStore, steps: AttemptSteps
    ) -> None:
        self._job = job
        self._attempt = attempt
        self._workspace = workspace
        self._store = store
        self._steps = steps

    def store_model(self) -> Artifact | None:
        """Packs and stores the model; None when a job that was stopped saved none."""
        self._steps.move(SecondaryStatus.UPLOADING, _("Uploading generated training model"))
        said = model_facts_read(self._workspace.output_dir)
        facts = said | self._steps.patiently(lambda: manifest_facts(job=self._job))
        packed = self._steps.storing(
            lambda: model_pack(
                model_dir=self._workspace.model_dir,
                archive=self._workspace.private_dir() / MODEL_ARCHIVE,
                facts=facts,
            )
        )
        if not packed.manifest["files"]:
            return None
        self._tell_left_out(packed)
        stored = self._steps.storing(lambda: self._put(packed.path, MODEL_ARCHIVE))
        return Artifact(stored.uri, stored.sha256, stored.size_bytes, packed.manifest)

    def store_output(self, outcome: Outcome) -> StoredOutput | None:
        """Stores what the job left in `output/data`, whether it completed or not; None where that is nothing."""
        try:
            return self._steps.storing(self._output)
        except (TransientError, OSError) as error:
            if outcome.may_have_model:
                raise
            self._steps.note(
                _("The output of the failed job could not be stored: {error}", error=text_of(error))
            )
            return None

    def _output(self) -> StoredOutput | None:
        packed = output_pack(
            output_dir=self._workspace.output_dir,
            archive=self._workspace.private_dir() / OUTPUT_ARCHIVE,
        )
        if packed is None:
            return None
        stored = self._put(packed.path, OUTPUT_ARCHIVE)
        return StoredOutput(stored.uri, stored.sha256, stored.size_bytes)

    def _put(self, archive: Path, name: str) -> StoredObject:
        key = f"training-jobs/{self._job.uid}/{self._attempt}/output/{name}"
        return self._store.put_file(archive, uri(self._job.project.bucket, key), move=True)

    def _tell_left_out(self, packed: Packed) -> None:
        if packed.left_out:
            names = ", ".join(name[:200] for name in packed.left_out[:_NAMED_MAX])
            self._steps.note(
                _("Not in the model, no regular files or too deep in folders: {names}", names=names)
            )
