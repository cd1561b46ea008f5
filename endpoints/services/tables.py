"""Table runs: a whole dataset through an endpoint.

Asked for by a person, carried out by a worker in an exec'ed process (`endpoints.evaluation`).
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseFault
from django.db import transaction
from django.utils.translation import gettext

from endpoints.evaluation.process import run_lines
from endpoints.evaluation.spec import TableSpec
from endpoints.models import Endpoint, Model, ProductionVariant, TableRun
from endpoints.selectors.endpoints import endpoint_get
from endpoints.services.run_lease import RunKind, RunLease, run_lease_kept, run_lease_take
from endpoints.services.run_results import run_result_keep
from endpoints.services.run_sweep import run_sweep
from endpoints.services.run_tokens import run_token_for
from jobs.algorithms.registry import SCRIPT
from jobs.models import Dataset, DatasetVersion
from jobs.runner.said import said_text
from jobs.selectors.label_facts import label_facts
from jobs.services.sweeping import Resending
from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.dispatch import dispatch_after_commit
from mlplatform.core.env import runs_socket
from mlplatform.core.errors import Conflict, InvalidRequest, PlatformError
from mlplatform.core.health.outages import outage_of, patiently
from mlplatform.core.models import Role
from mlplatform.core.names import uid_new, uri
from mlplatform.core.people.access import Actor
from mlplatform.core.status import EndpointStatus, TableRunStatus
from mlplatform.core.storage.objects import object_store, objects_take_back
from mlplatform.core.storage.storable import storable
from mlplatform.core.text import Text
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

TASK = "endpoints.table_run"
QUEUE = "cpu"
TELL_EVERY_S = 2.0
TIME_LIMIT_S = 3600.0
TOKEN_VALID_S = TIME_LIMIT_S + 60
PATIENCE_S = 120.0
"""How long a run waits for a database that is away."""
TABLE_RUNS = RunKind(
    TableRun,
    title="table run",
    task=TASK,
    queue=QUEUE,
    in_progress=TableRunStatus.IN_PROGRESS,
    failed=TableRunStatus.FAILED,
    fresh={"n_done": 0},
)
_OVER = _("The run was deleted or given up meanwhile")
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
            gettext("Endpoint “%(name)s” is %(status)s; it must be InService")
            % {"name": endpoint, "status": found.status}
        )
    names = [each.name for each in found.live.variants.all()]
    if variant and variant not in names:
        raise InvalidRequest.for_field(
            "variant",
            gettext("“%(name)s” is not a variant of this endpoint; it has %(known)s")
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
    lease = run_lease_take(kind=TABLE_RUNS, run_id=run_id)
    if lease is None:
        return False
    run = TableRun.objects.select_related("endpoint__project", "endpoint__live", "dataset_version").get(
        pk=run_id
    )
    with run_lease_kept(lease=lease) as over:
        try:
            with tempfile.TemporaryDirectory(
                prefix="table-", dir=settings.FILE_UPLOAD_TEMP_DIR, ignore_cleanup_errors=True
            ) as folder:
                spec = _spec(run, Path(folder))
                _record(lease, _outcome(run, lease, spec, Path(folder), over))
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
                else _("The platform could not carry out this run; its log says why"),
            )
            if fault is None:
                raise
    return True


def table_run_sweep(*, resending: Resending | None = None) -> int:
    """Takes runs from workers that are gone and sends the messages of those that nobody took; see `run_sweep`."""
    return run_sweep(kind=TABLE_RUNS, resending=resending)


def _version(actor: Actor, dataset: str) -> DatasetVersion:
    if not dataset:
        raise InvalidRequest.for_field("dataset", gettext("Choose a dataset."))
    name, _at, number = dataset.partition("@")
    found = Dataset.objects.select_related("latest").filter(project=actor.project, name=name).first()
    version = found.latest if found else None
    if found and number:
        known = number.isdecimal() and len(number) < 9
        version = found.versions.filter(number=int(number)).first() if known else None
    if version is None:
        raise InvalidRequest.for_field(
            "dataset", gettext("there is no dataset “%(name)s”") % {"name": dataset[:80]}
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
        socket=str(runs_socket()),
        token=run_token_for(endpoint=endpoint, valid_s=TOKEN_VALID_S),
        project=endpoint.project.name,
        endpoint=endpoint.name,
        variant=run.variant,
        is_classifier=_is_classifier(model, version),
        model_labels=manifest.get("label_mapping"),
        n_features=manifest.get("n_features"),
        feature_names=manifest.get("feature_names"),
        result=str(folder / "rows.jsonl"),
        is_script=model.algorithm == SCRIPT,
    )


def _is_classifier(model: Model, version: DatasetVersion) -> bool:
    """As the model says; for a script that says nothing, as the labels of the dataset look."""
    declared = model.manifest.get("predictor_type")
    if model.algorithm == SCRIPT and declared not in ("classifier", "regressor"):
        return label_facts(version).is_classes
    return bool(declared != "regressor")


def _model(endpoint: Endpoint, variant: str) -> Model:
    variants = ProductionVariant.objects.filter(config=endpoint.live or endpoint.wanted).select_related(
        "model"
    )
    chosen = (variants.filter(name=variant) if variant else variants.order_by("pk")).first()
    if chosen is None:
        raise InvalidRequest.for_field(
            "variant",
            _(
                "“{name}” is no longer a variant of endpoint “{endpoint}”",
                name=variant,
                endpoint=endpoint.name,
            ),
        )
    return chosen.model


def _outcome(
    run: TableRun, lease: RunLease, spec: TableSpec, folder: Path, over: threading.Event
) -> dict[str, Any]:
    """Runs the process; {"summary", "result_uri"} or {"failure"}."""
    said: dict[str, Any] = {}
    told_at = 0.0
    for line in run_lines(spec, folder, time_limit_s=TIME_LIMIT_S):
        said |= line
        if "n_done" in line and time.monotonic() - told_at > TELL_EVERY_S:
            told_at = time.monotonic()
            if not _progress(lease, line["n_done"]):
                return {"failure": _OVER}
    if "summary" not in said:
        return {"failure": said_text(said["failure"]) if said.get("failure") else _ended_early(said)}
    n_rows = said["summary"].get("n_rows", 0)
    if not _progress(lease, n_rows):
        return {"failure": _OVER}
    # A key of the attempt's own: what a worker stores that lost its lease is not what a later attempt stored.
    address = uri(run.endpoint.project.bucket, f"table-runs/{run.uid}/{run.attempt}/rows.jsonl")
    stored = run_result_keep(Path(spec.result), address, over=over)
    return {"summary": said["summary"], "result_uri": stored.uri, "n_done": n_rows}


def _ended_early(said: dict[str, Any]) -> str:
    return _("The process of this run ended early: {output}", output=said.get("stderr", ""))


def _progress(lease: RunLease, n_done: int) -> bool:
    return bool(patiently(lambda: lease.rows.update(n_done=n_done), within_s=PATIENCE_S))


def _record(lease: RunLease, outcome: dict[str, Any]) -> None:
    """Writes the outcome; the rows of a run that is no longer there, or is another attempt's, are removed again."""
    if not _finish(lease, **outcome) and "result_uri" in outcome:
        objects_take_back([outcome["result_uri"]])


def _finish(lease: RunLease, *, failure: str = "", **values: Any) -> bool:
    status = TableRunStatus.FAILED if failure else TableRunStatus.COMPLETED
    said = failure if isinstance(failure, Text) else failure[:2000]
    values = storable(values | {"failure": said})
    values |= {"ended_at": clock.now(), "lease_owner": "", "lease_expires_at": None}
    return bool(patiently(lambda: status_update(lease.rows, to=status, **values), within_s=PATIENCE_S))
