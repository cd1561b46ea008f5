"""Table runs: a whole dataset through an endpoint.

Asked for by a person, carried out by a worker in an exec'ed process (`endpoints.evaluation`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from endpoints.evaluation.spec import TableSpec
from endpoints.models import Endpoint, Model, ProductionVariant, TableRun
from endpoints.selectors.endpoints import endpoint_get
from endpoints.services.table_lease import table_lease_kept, table_lease_take
from jobs.models import Dataset, DatasetVersion
from mlplatform.core import clock
from mlplatform.core.access import Actor
from mlplatform.core.audit import audit_record
from mlplatform.core.dispatch import dispatch_after_commit
from mlplatform.core.env import PROJECT_ROOT, runtime_dir
from mlplatform.core.errors import Conflict, InvalidRequest, PlatformError
from mlplatform.core.models import Role
from mlplatform.core.names import uid_new, uri
from mlplatform.core.objects import object_store, objects_take_back
from mlplatform.core.status import EndpointStatus, TableRunStatus
from mlplatform.core.transitions import status_update

TASK = "endpoints.table_run"
QUEUE = "cpu"
TELL_EVERY_S = 2.0
TIME_LIMIT_S = 3600.0
RESEND_AFTER_S = 15
_OVER = "The run was deleted or given up meanwhile"
_ANSWERS = frozenset({EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING, EndpointStatus.ROLLING_BACK})


def table_run_create(*, actor: Actor, endpoint: str, dataset: str, variant: str | None = None) -> TableRun:
    """Asks for a run of `dataset` (its newest version, or `name@version`) through an endpoint.

    Raises:
        NotFound: no such endpoint.
        InvalidRequest: no such dataset or variant.
        Conflict: the endpoint does not answer now.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    found = endpoint_get(actor=actor, name=endpoint)
    version = _version(actor, dataset)
    if found.status not in _ANSWERS or found.live is None:
        raise Conflict(
            _("Endpoint “%(name)s” is %(status)s; it must be InService")
            % {"name": endpoint, "status": found.status}
        )
    names = [each.name for each in found.live.variants.all()]
    if variant and variant not in names:
        raise InvalidRequest.for_field(
            "variant",
            _("“%(name)s” is not a variant of this endpoint; it has %(known)s")
            % {"name": variant[:63], "known": ", ".join(names)},
        )
    with transaction.atomic():
        run = TableRun.objects.create(
            endpoint=found,
            dataset_version=version,
            uid=uid_new(),
            variant=variant or "",
            n_rows=version.n_rows,
            created_by=actor.user,
            created_at=clock.now(),
        )
        dispatch_after_commit(TASK, object_id=run.pk, queue=QUEUE)
        audit_record(
            actor=actor,
            action="table_run.create",
            target=endpoint,
            detail={"uid": run.uid, "dataset": str(version), "variant": run.variant},
        )
    return run


def table_run_execute(*, run_id: int) -> bool:
    """Carries a run out, if nobody else does. Called by the Celery task; returns whether it did."""
    if not table_lease_take(run_id=run_id):
        return False
    run = TableRun.objects.select_related("endpoint__project", "endpoint__live", "dataset_version").get(
        pk=run_id
    )
    with tempfile.TemporaryDirectory(prefix="mlplatform-table-") as folder, table_lease_kept(run_id=run_id):
        try:
            spec = _spec(run, Path(folder))
            _record(run, _outcome(run, spec, Path(folder)))
        except PlatformError as error:
            _finish(run, failure=error.message)
        except Exception:
            _finish(run, failure="The platform could not carry out this run; its log says why")
            raise
    return True


def table_run_sweep() -> int:
    """Sends runs again that nobody took, and fails those whose worker is gone. Called by hosts every few seconds."""
    now = clock.now()
    open_runs = TableRun.objects.filter(status=TableRunStatus.IN_PROGRESS)
    lost = status_update(
        open_runs.filter(lease_expires_at__lt=now),
        to=TableRunStatus.FAILED,
        failure="The worker that carried out this run was lost",
        ended_at=now,
    )
    waiting = open_runs.filter(
        lease_expires_at__isnull=True, created_at__lt=now - timedelta(seconds=RESEND_AFTER_S)
    )
    for run_id in waiting.values_list("pk", flat=True)[:50]:
        dispatch_after_commit(TASK, object_id=run_id, queue=QUEUE)
    return lost


def _version(actor: Actor, dataset: str) -> DatasetVersion:
    name, _at, number = dataset.partition("@")
    found = Dataset.objects.select_related("latest").filter(project=actor.project, name=name).first()
    version = found.latest if found else None
    if found and number:
        known = number.isdecimal() and len(number) < 9
        version = found.versions.filter(number=int(number)).first() if known else None
    if version is None:
        raise InvalidRequest.for_field(
            "dataset", _("there is no dataset “%(name)s”") % {"name": dataset[:80]}
        )
    return version


def _spec(run: TableRun, folder: Path) -> TableSpec:
    endpoint, version = run.endpoint, run.dataset_version
    model = _model(endpoint, run.variant)
    data = object_store().local_path(version.uri)
    if data is None:
        data = folder / "data"
        object_store().download(version.uri, data)
    manifest = model.manifest
    return TableSpec(
        data=str(data),
        schema=version.schema,
        socket=str(runtime_dir() / "gateway.sock"),
        project=endpoint.project.name,
        endpoint=endpoint.name,
        variant=run.variant,
        is_classifier=manifest.get("predictor_type") != "regressor",
        model_labels=manifest.get("label_mapping"),
        n_features=manifest.get("n_features"),
        feature_names=manifest.get("feature_names"),
        result=str(folder / "rows.jsonl"),
    )


def _model(endpoint: Endpoint, variant: str) -> Model:
    variants = ProductionVariant.objects.filter(config=endpoint.live or endpoint.wanted).select_related(
        "model"
    )
    chosen = (variants.filter(name=variant) if variant else variants.order_by("pk")).first()
    if chosen is None:
        raise InvalidRequest.for_field("variant", f"{variant!r} is no longer a variant of {endpoint.name!r}")
    return chosen.model


def _outcome(run: TableRun, spec: TableSpec, folder: Path) -> dict[str, Any]:
    """Runs the process; {"summary", "result_uri"} or {"failure"}."""
    said: dict[str, Any] = {}
    told_at = 0.0
    for line in _process_lines(spec, folder):
        said |= line
        if "n_done" in line and time.monotonic() - told_at > TELL_EVERY_S:
            told_at = time.monotonic()
            if not _progress(run, line["n_done"]):
                return {"failure": _OVER}
    if "summary" not in said:
        return {
            "failure": said.get("failure") or f"The process of this run ended early: {said.get('stderr', '')}"
        }
    n_rows = said["summary"].get("n_rows", 0)
    if not _progress(run, n_rows):
        return {"failure": _OVER}
    stored = object_store().put_file(
        Path(spec.result), uri(run.endpoint.project.bucket, f"table-runs/{run.uid}/rows.jsonl"), move=True
    )
    return {"summary": said["summary"], "result_uri": stored.uri, "n_done": n_rows}


def _progress(run: TableRun, n_done: int) -> bool:
    mine = TableRun.objects.filter(pk=run.pk, status=TableRunStatus.IN_PROGRESS)
    return bool(mine.update(n_done=n_done))


def _process_lines(spec: TableSpec, folder: Path) -> Iterator[dict[str, Any]]:
    """What the process prints, line by line; at the end, if it printed anything else, the last of that."""
    spec_path = folder / "spec.json"
    spec.write(spec_path)
    argv = [sys.executable, "-m", "endpoints.evaluation", str(spec_path), str(os.getpid())]
    with (
        (folder / "stderr").open("w+b") as stderr,
        subprocess.Popen(
            argv,
            cwd=folder,
            env=_environment(folder),
            stdout=subprocess.PIPE,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
        ) as process,
    ):
        timer = threading.Timer(TIME_LIMIT_S, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                yield json.loads(line)
        finally:
            timer.cancel()
            process.kill()
            process.wait()
        stderr.seek(0)
        yield {"stderr": stderr.read()[-2000:].decode("utf-8", "replace").strip()}


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _record(run: TableRun, outcome: dict[str, Any]) -> None:
    """Writes the outcome; the rows of a run that is no longer there, or was given up, are removed again."""
    if not _finish(run, **outcome) and "result_uri" in outcome:
        objects_take_back([outcome["result_uri"]])


def _finish(run: TableRun, *, failure: str = "", **values: Any) -> bool:
    status = TableRunStatus.FAILED if failure else TableRunStatus.COMPLETED
    mine = TableRun.objects.filter(pk=run.pk)
    return bool(status_update(mine, to=status, failure=failure[:2000], ended_at=clock.now(), **values))
