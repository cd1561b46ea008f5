"""Carries evaluations out: one attempt by a worker, in an exec'ed process (`endpoints.evaluation`), to one outcome.

Called by the Celery task and by the sweeps of hosts and scheduler, through `endpoints.services.evaluations`.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import Error as DatabaseFault

from endpoints.evaluation.process import run_lines
from endpoints.evaluation.spec import EvaluationSpec
from endpoints.models import Endpoint, Evaluation, ProductionVariant
from endpoints.services.run_lease import (
    RunKind,
    RunLease,
    run_lease_kept,
    run_lease_release,
    run_lease_take,
)
from endpoints.services.run_results import run_result_keep
from endpoints.services.run_sweep import run_sweep
from endpoints.services.run_tokens import run_token_for
from jobs.algorithms.registry import SCRIPT
from jobs.runner.said import said_text
from jobs.services.sweeping import Resending
from jobs.services.worker_state import worker_state
from mlplatform.core import clock
from mlplatform.core.amounts import time_text
from mlplatform.core.dispatch import dispatch_now
from mlplatform.core.env import runs_socket
from mlplatform.core.errors import InvalidRequest, PlatformError, TransientError
from mlplatform.core.health.outages import outage_of, patiently
from mlplatform.core.names import uri
from mlplatform.core.status import EndpointStatus, EvaluationStatus
from mlplatform.core.storage.objects import object_store, objects_take_back
from mlplatform.core.storage.storable import storable
from mlplatform.core.text import Text
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

TELL_EVERY_S: Final = 1.0
TIME_LIMIT_S: Final = 6 * 3600.0
TOKEN_VALID_S: Final = TIME_LIMIT_S + 60
PATIENCE_S: Final = 120.0
"""How long an evaluation waits for a database that is away."""
EVALUATIONS: Final = RunKind(
    Evaluation,
    title="evaluation",
    task="endpoints.evaluation",
    queue="cpu",
    in_progress=EvaluationStatus.IN_PROGRESS,
    failed=EvaluationStatus.FAILED,
    stopping=EvaluationStatus.STOPPING,
    stopped=EvaluationStatus.STOPPED,
    fresh={"progress": {}},
)


class _Interrupted(Exception):
    """The attempt ends without an outcome of its own: stopped, lost, or its worker ends."""


def evaluation_execute(*, evaluation_id: int) -> bool:
    """Carries an evaluation out, if nobody else does. Called by the Celery task; returns whether it did."""
    if worker_state().shutting_down():
        return False
    lease = run_lease_take(kind=EVALUATIONS, run_id=evaluation_id, started_at=clock.now())
    if lease is None:
        return False
    with run_lease_kept(lease=lease) as over:
        try:
            _record(lease, _measured(lease, over))
        except _Interrupted:
            _give_up(lease)
        except PlatformError as error:
            _finish(lease, failure=error.message)
        except DatabaseFault:  # the lease runs out, and then somebody else tries
            raise
        except Exception as error:
            fault = outage_of(error)
            _finish(
                lease,
                failure=fault.message
                if fault
                else _("The platform could not carry out this evaluation; its log says why"),
            )
            if fault is None:
                raise
    return True


def evaluation_sweep(*, resending: Resending | None = None) -> int:
    """Takes evaluations from workers that are gone, sends the messages of those that nobody took; see `run_sweep`."""
    return run_sweep(kind=EVALUATIONS, resending=resending)


def _measured(lease: RunLease, over: threading.Event) -> dict[str, Any]:
    """{"summary", "result", "result_uri", "progress"}, or {"failure"}. Raises _Interrupted."""
    evaluation = Evaluation.objects.select_related(
        "project", "endpoint__project", "endpoint__live", "model", "dataset_version"
    ).get(pk=lease.run_id)
    with tempfile.TemporaryDirectory(
        prefix="evaluation-", dir=settings.FILE_UPLOAD_TEMP_DIR, ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        spec = _spec(evaluation, folder)
        said = _followed(lease, spec, folder, over)
        if over.is_set() or (said.get("stopped") and "summary" not in said):
            raise _Interrupted
        if "summary" not in said:
            return {"failure": _failure(evaluation, said)}
        changed = _changed(evaluation)
        return {"failure": changed} if changed else _kept(evaluation, spec, said, over)


def _followed(lease: RunLease, spec: EvaluationSpec, folder: Path, over: threading.Event) -> dict[str, Any]:
    """Everything that the process says, the later of what it says twice; its progress is written as it comes."""
    said: dict[str, Any] = {}
    told_at = 0.0

    def is_over() -> bool:
        return over.is_set() or worker_state().shutting_down()

    for line in run_lines(spec, folder, time_limit_s=TIME_LIMIT_S, stopped=is_over):
        said |= line
        if "progress" in line and time.monotonic() - told_at > TELL_EVERY_S:
            told_at = time.monotonic()
            if not _progress(lease, line["progress"]):
                over.set()
    return said


def _spec(evaluation: Evaluation, folder: Path) -> EvaluationSpec:
    """Raises InvalidRequest where what it needs is gone."""
    endpoint, version, model = evaluation.endpoint, evaluation.dataset_version, evaluation.model
    if endpoint is None:
        raise InvalidRequest(
            _("Endpoint “{name}” was deleted before it was measured", name=evaluation.endpoint_name)
        )
    if version is None:
        raise InvalidRequest(
            _("Dataset {name} was deleted before it was used", name=evaluation.dataset_reference)
        )
    changed = _changed(evaluation)
    if changed:
        raise InvalidRequest(changed)
    if model is None:
        raise InvalidRequest(
            _("Model “{name}” was deleted before it was measured", name=evaluation.model_name)
        )
    data = object_store().local_path(version.uri)
    if data is None:
        data = folder / "data"
        object_store().download(version.uri, data)
    return EvaluationSpec(
        data=str(data),
        schema=version.schema,
        socket=str(runs_socket()),
        token=run_token_for(endpoint=endpoint, valid_s=TOKEN_VALID_S),
        project=endpoint.project.name,
        endpoint=endpoint.name,
        variant=evaluation.variant,
        is_classifier=evaluation.facts.get("predictor_type") != "regressor",
        model_labels=model.manifest.get("label_mapping"),
        n_features=model.manifest.get("n_features"),
        feature_names=model.manifest.get("feature_names"),
        k_max=evaluation.k_max or evaluation.facts.get("k"),
        batches=evaluation.batches,
        single_requests=evaluation.single_requests,
        result=str(folder / "predictions.bin"),
        is_script=model.algorithm == SCRIPT,
    )


def _changed(evaluation: Evaluation) -> str:
    """Why the endpoint is no longer what was to be measured; empty where it is, or is gone altogether."""
    live = Endpoint.objects.filter(evaluations=evaluation).values_list("live_id", flat=True).first()
    if live is None:
        return ""
    now = ProductionVariant.objects.filter(config=live, name=evaluation.variant).first()
    if now is None or now.model_id != evaluation.model_id:
        return _(
            "Endpoint “{name}” was updated meanwhile: its variant “{variant}” no longer serves model “{model}”",
            name=evaluation.endpoint_name,
            variant=evaluation.variant,
            model=evaluation.model_name,
        )
    if now.placed_on != evaluation.instance_type:
        return _(
            "Endpoint “{name}” was updated meanwhile: its variant “{variant}” runs on {now} and no longer on {before}, "
            "whose latencies were to be measured",
            name=evaluation.endpoint_name,
            variant=evaluation.variant,
            now=now.placed_on,
            before=evaluation.instance_type,
        )
    return ""


def _failure(evaluation: Evaluation, said: Mapping[str, Any]) -> str:
    """Why there is no result: what became of the endpoint, else the words of the process."""
    endpoint = Endpoint.objects.filter(evaluations=evaluation).first()
    words = said_text(said["failure"]) if said.get("failure") else ""
    if endpoint is None or endpoint.status == EndpointStatus.DELETING:
        return _("Endpoint “{name}” was deleted while it was measured", name=evaluation.endpoint_name)
    if endpoint.status == EndpointStatus.FAILED:
        return _(
            "Endpoint “{name}” failed while it was measured: {reason}",
            name=endpoint.name,
            reason=endpoint.failure_reason or words,
        )
    if words:
        return words
    if said.get("over_time"):
        return _("It was not finished after {time} and was ended", time=time_text(TIME_LIMIT_S))
    return _("The process of this evaluation ended early: {output}", output=said.get("stderr", ""))


def _kept(
    evaluation: Evaluation, spec: EvaluationSpec, said: Mapping[str, Any], over: threading.Event
) -> dict[str, Any]:
    """The outcome, its predictions in the store. Raises _Interrupted: it is to end before the store takes them."""
    outcome = {"summary": said["summary"], "result": said.get("result")}
    if isinstance(said.get("progress"), dict):
        outcome["progress"] = {**said["progress"], "fraction": 1.0, "eta_s": None}
    path = Path(spec.result)
    if os.path.lexists(path):
        # A key of the attempt's own: what a worker stores that lost its lease is not what a later attempt stored.
        key = f"evaluations/{evaluation.uid}/{evaluation.attempt}/predictions.bin"
        try:
            stored = run_result_keep(path, uri(evaluation.project.bucket, key), over=over)
        except TransientError:
            if over.is_set() or worker_state().shutting_down():
                raise _Interrupted from None
            raise
        outcome["result_uri"] = stored.uri
    return outcome


def _progress(lease: RunLease, progress: Any) -> bool:
    told = storable(progress)
    return bool(patiently(lambda: lease.rows.update(progress=told), within_s=PATIENCE_S))


def _record(lease: RunLease, outcome: dict[str, Any]) -> None:
    """Writes the outcome; predictions of one that is no longer there, or another attempt's, are removed again."""
    if not _finish(lease, **outcome) and "result_uri" in outcome:
        objects_take_back([outcome["result_uri"]])


def _finish(lease: RunLease, *, failure: str = "", **values: Any) -> bool:
    status = EvaluationStatus.FAILED if failure else EvaluationStatus.COMPLETED
    said = failure if isinstance(failure, Text) else failure[:2000]
    values = storable(values | {"failure": said})
    values |= {"ended_at": clock.now(), "lease_owner": "", "lease_expires_at": None}
    return bool(patiently(lambda: status_update(lease.rows, to=status, **values), within_s=PATIENCE_S))


def _give_up(lease: RunLease) -> None:
    """Stopped, if that was asked for; else given to another worker, at once where it can be."""
    if patiently(lambda: run_lease_release(lease=lease), within_s=PATIENCE_S):
        dispatch_now(EVALUATIONS.task, object_id=lease.run_id, queue=EVALUATIONS.queue)
