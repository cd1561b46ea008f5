"""Carries batch transforms out: one attempt by a worker, with a model server and a process of the job's own, to one
outcome.

Called by the Celery task and by the sweeps of hosts and scheduler. What is asked for is
`endpoints.services.transforms`.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from django.db import Error as DatabaseFault

from endpoints.lone_server import LoneServer
from endpoints.models import TransformJob
from endpoints.served_spec import server_spec_of
from endpoints.server_spec import socket_folder
from endpoints.services.run_lease import (
    RunLease,
    run_lease_kept,
    run_lease_release,
    run_lease_take,
)
from endpoints.services.run_results import run_result_keep
from endpoints.services.transform_inputs import (
    TransformObject,
    portion_place,
    portions,
    result_key,
    transform_objects,
)
from endpoints.services.transform_outcome import Ended, failure_from
from endpoints.services.transform_reporting import PATIENCE_S, TransformReporter, billing
from endpoints.services.transform_runs import KINDS, TASK, attempt_folder
from endpoints.transform.model_client import ANSWER_WITHIN_S
from endpoints.transform.process import transform_lines
from endpoints.transform.spec import MEGABYTE, TransformInput, TransformSpec
from jobs.instance_types import cpus_here, instance_type_get
from jobs.services.worker_state import worker_state
from mlplatform.core import clock
from mlplatform.core.dispatch import dispatch_now
from mlplatform.core.env import runtime_dir
from mlplatform.core.errors import NotFound, PlatformError, StorageFull, TransientError
from mlplatform.core.health.outages import outage_of, patiently
from mlplatform.core.keeping.disk_room import disk_room_for_jobs
from mlplatform.core.logs import log_end
from mlplatform.core.names import uri
from mlplatform.core.status import FailureKind, TransformJobStatus
from mlplatform.core.storage.objects import object_store, objects_take_back
from mlplatform.core.storage.storable import storable
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

logger = logging.getLogger(__name__)
SERVER_ENDS_WITHIN_S: Final = 3.0


def transform_job_execute(*, transform_job_id: int) -> bool:
    """Carries a job out, if nobody else does. Called by the Celery task; returns whether it did."""
    if worker_state().shutting_down() or disk_room_for_jobs() is not None:
        return False
    queue = TransformJob.objects.filter(pk=transform_job_id).values_list("queue", flat=True).first()
    if queue is None:
        return False
    lease = run_lease_take(kind=KINDS[queue], run_id=transform_job_id, started_at=clock.now())
    if lease is None:
        return False
    job = TransformJob.objects.select_related("project", "model__source", "dataset_version", "log").get(
        pk=transform_job_id
    )
    with run_lease_kept(lease=lease) as over:
        _Attempt(job, lease, over).run()
    return True


class _Interrupted(Exception):
    """The attempt ends without an outcome of its own: stopped, lost, or its worker ends."""


class _Attempt:
    """One attempt: `run` starts the model server, sends portion after portion, and writes one outcome."""

    def __init__(self, job: TransformJob, lease: RunLease, over: threading.Event) -> None:
        self._job = job
        self._lease = lease
        self._over = over
        self._uid = f"{job.uid}{job.attempt:02d}"
        self._folder = attempt_folder(job.uid, job.attempt)
        self._reporter = TransformReporter(job, lease, over)
        self._output = self._reporter.output
        self._stored: list[str] = []
        self._deadline = time.monotonic() + job.max_runtime_s
        self._server: LoneServer | None = None

    def run(self) -> None:
        job = self._job
        self._reporter.note(f"attempt {job.attempt} of transform job {job.name}")
        try:
            outcome = self._transformed()
        except _Interrupted:
            self._close()
            self._give_up()
        except Ended as ended:
            self._close()
            self._finish(TransformJobStatus.FAILED, failure=failure_from(ended, self._output.tail()))
        except DatabaseFault:  # the lease runs out, and then somebody else tries
            self._close(stored=False)
            raise
        except Exception as error:
            self._close()
            self._failed(error)
        else:
            self._close()
            if not self._finish(TransformJobStatus.COMPLETED, **outcome):
                objects_take_back(self._stored)

    # ---- the work

    def _transformed(self) -> dict[str, Any]:
        """What the row of a completed job has. Raises _Interrupted, Ended, PlatformError."""
        job = self._job
        self._clear_earlier()
        reference = job.dataset_reference if job.dataset_version_id else ""
        objects = transform_objects(uri=job.uri, dataset=reference)
        if not objects:
            raise NotFound(_("The data of {name} is no longer there", name=reference or job.uri))
        self._start_server()
        n_done = n_bytes = 0
        total = sum(item.size_bytes for item in objects)
        kept = []
        for number, portion in enumerate(portions(objects)):
            work = self._folder / f"work-{number}"
            work.mkdir(mode=0o700, parents=True)
            inputs = portion_place(portion, work)
            n_done += self._send(inputs, work, n_done=n_done, n_bytes=n_bytes, total=total)
            n_bytes += sum(item.size_bytes for item in portion)
            kept += self._keep(portion, inputs)
            shutil.rmtree(work, ignore_errors=True)
        self._reporter.note(f"{n_done:,} records transformed")
        is_one = job.dataset_version_id is not None or objects[0].uri == job.uri
        return {
            "result_uri": kept[0][0] if is_one else uri(job.project.bucket, result_key(job)),
            "result_sha256": kept[0][1] if is_one else "",
            "result_bytes": sum(size for _uri, _sha256, size in kept),
            "progress": {"n_rows": n_done, "n_done": n_done, "fraction": 1.0, "eta_s": None},
        }

    def _start_server(self) -> None:
        job = self._job
        instance = instance_type_get(job.instance_type)
        spec = server_spec_of(
            model=job.model,
            n_threads=min(instance.vcpus, cpus_here()),
            memory_limit_bytes=instance.memory_limit_bytes,
            uid=self._uid,
            folder=self._folder / "server",
            socket=socket_folder(runtime_dir() / "transforms", uid=f"{job.uid[:14]}{job.attempt:02d}") / "m",
            environment={**job.model.environment, **job.environment, **_batch_environment(job)},
            max_body_bytes=job.max_payload_mb * MEGABYTE + 1,
            answer_within_s=ANSWER_WITHIN_S,
        )
        self._server = LoneServer(spec, self._output)
        self._reporter.note(f"laying out model {job.model.name}")
        if not self._server.start(object_store(), stopped=self._tick):
            if self._server.end is not None:
                raise self._server_ended()
            raise self._out_of_time() if self._is_late else _Interrupted

    def _send(
        self, inputs: Sequence[TransformInput], work: Path, *, n_done: int, n_bytes: int, total: int
    ) -> int:
        """Sends a portion; how many records it had. Raises _Interrupted, Ended."""
        said: dict[str, Any] = {}
        lines = transform_lines(
            self._spec(inputs), work, uid=self._uid, time_limit_s=self._left_s, stopped=self._tick
        )
        for line in lines:
            said |= line
            if "n_done" in line:
                self._reporter.tell(
                    n_done + int(line["n_done"]), n_bytes + int(line.get("n_bytes") or 0), total
                )
        if said.get("finished") is True:
            return int(said.get("n_done") or 0)
        raise self._why(said)

    def _why(self, said: Mapping[str, Any]) -> Exception:
        failure = said.get("failure")
        assert self._server is not None
        if self._server.end is not None:
            return self._server_ended()
        if self._is_late:
            return self._out_of_time()
        if self._over.is_set() or worker_state().shutting_down():
            return _Interrupted()
        if isinstance(failure, dict):
            if failure.get("kind") == "gone" and self._server.ended_within(SERVER_ENDS_WITHIN_S):
                return self._server_ended()
            return Ended.said(failure)
        words = _("The process of this job ended early: {output}", output=str(said.get("stderr", ""))[-500:])
        return Ended(FailureKind.INTERNAL, words)

    def _keep(
        self, portion: Sequence[TransformObject], inputs: Sequence[TransformInput]
    ) -> list[tuple[str, str, int]]:
        """Stores the results of a portion: address, digest and size of each. Raises _Interrupted."""
        kept = []
        for item, given in zip(portion, inputs, strict=True):
            path = Path(given.result)
            os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)
            address = uri(self._job.project.bucket, result_key(self._job, item.name))
            try:
                stored = run_result_keep(path, address, over=self._over)
            except TransientError:
                if self._over.is_set() or worker_state().shutting_down():
                    raise _Interrupted from None
                raise
            self._stored.append(stored.uri)
            kept.append((stored.uri, stored.sha256, stored.size_bytes))
        return kept

    def _spec(self, inputs: Sequence[TransformInput]) -> TransformSpec:
        job = self._job
        assert self._server is not None
        version = job.dataset_version
        return TransformSpec(
            inputs=list(inputs),
            socket=str(self._server.spec.socket),
            content_type=job.content_type,
            accept=job.accept,
            split_type=job.split_type,
            batch_strategy=job.batch_strategy,
            max_payload_bytes=job.max_payload_mb * MEGABYTE,
            max_concurrent=job.max_concurrent,
            input_filter=job.input_filter,
            output_filter=job.output_filter,
            join=job.join,
            schema=version.schema if version is not None else None,
        )

    # ---- meanwhile

    def _tick(self) -> bool:
        """What is due while others work; whether they are to end now. Called at least twice a second."""
        if self._server is not None:
            self._server.watch()
        self._reporter.store_log_when_due()
        has_ended = self._server is not None and self._server.end is not None
        return has_ended or self._is_late or self._over.is_set() or worker_state().shutting_down()

    @property
    def _left_s(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    @property
    def _is_late(self) -> bool:
        return time.monotonic() >= self._deadline

    # ---- ends

    def _server_ended(self) -> Ended:
        assert self._server is not None and self._server.end is not None
        end = self._server.end
        is_memory = self._server.over_memory or end.reason.startswith("OutOfMemory")
        kind = FailureKind.OUT_OF_MEMORY if is_memory else FailureKind.ALGORITHM_ERROR
        return Ended(kind, end.reason, detail=self._output.traceback()[-8000:])

    def _out_of_time(self) -> Ended:
        limit = f"{self._job.max_runtime_s:,}"
        said = _("The job ran for its maximum run time of {limit} s and was stopped", limit=limit)
        return Ended(FailureKind.TIME_LIMIT, said)

    def _failed(self, error: Exception) -> None:
        """What went wrong in the platform itself, or with what the job needs, as an outcome."""
        fault = error if isinstance(error, PlatformError) else outage_of(error)
        if fault is None:
            logger.error("transform job %s failed in the platform", self._job.uid, exc_info=error)
            said: str = _("The platform could not run the job: {error}", error=type(error).__name__)
            kind = FailureKind.INTERNAL
        else:
            said = fault.message
            is_input = isinstance(fault, NotFound)
            is_full = isinstance(fault, StorageFull)
            kind = (
                FailureKind.CLIENT_ERROR
                if is_input
                else FailureKind.STORAGE_FULL
                if is_full
                else FailureKind.INTERNAL
            )
        self._finish(TransformJobStatus.FAILED, failure=failure_from(Ended(kind, said), self._output.tail()))

    def _finish(self, status: TransformJobStatus, **values: Any) -> bool:
        """Writes the outcome, if the attempt is still this one's; results of one that is not are removed."""
        if status is not TransformJobStatus.COMPLETED:
            objects_take_back(self._stored)
        kept = storable(values) | billing(self._job)
        kept |= {"lease_owner": "", "lease_expires_at": None}
        written = patiently(lambda: status_update(self._lease.rows, to=status, **kept), within_s=PATIENCE_S)
        if written:
            patiently(lambda: log_end(stream=self._job.log), within_s=PATIENCE_S)
        return bool(written)

    def _give_up(self) -> None:
        """Stopped, if that was asked for; else given to another worker, at once where it can be."""
        stopping = self._lease.rows.filter(status=TransformJobStatus.STOPPING)
        if patiently(stopping.exists, within_s=PATIENCE_S):
            self._finish(TransformJobStatus.STOPPED)
            return
        objects_take_back(self._stored)
        if patiently(lambda: run_lease_release(lease=self._lease), within_s=PATIENCE_S):
            dispatch_now(TASK, object_id=self._job.pk, queue=self._job.queue)

    def _close(self, *, stored: bool = True) -> None:
        """Ends the model server and removes the attempt's folder; the log is then complete."""
        if self._server is not None:
            self._server.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if stored:
            self._reporter.store_log()

    def _clear_earlier(self) -> None:
        """Files of attempts whose worker was killed."""
        for attempt in range(1, self._job.attempt + 1):
            shutil.rmtree(attempt_folder(self._job.uid, attempt), ignore_errors=True)


def _batch_environment(job: TransformJob) -> dict[str, str]:
    """What the service tells a container that it serves a transform."""
    return {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(job.max_payload_mb),
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD"
        if job.batch_strategy == "MultiRecord"
        else "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(job.max_concurrent),
    }
