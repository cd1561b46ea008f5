"""What this room keeps: which rows refer to objects, how long traffic, logs and runs stay, what may be left over.

Registered when Django starts; carried out by the floor's sweeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from django.db import transaction
from django.db.models import Q

from endpoints.asleep_models import asleep_variant
from endpoints.models import (
    AsyncInvocation,
    EndpointMetric,
    Evaluation,
    ProductionVariant,
    Replica,
    ReplicaRun,
    TableRun,
    TransformJob,
)
from endpoints.server_spec import socket_folder
from endpoints.services.async_invocations import async_invocations_remove
from endpoints.services.captured_files import captured_files_remove
from endpoints.services.replica_logs import replica_logs_ended, replica_logs_orphaned
from endpoints.services.transforms import transform_jobs_remove
from jobs.models import SpentRecord
from mlplatform.core.env import data_dir, runtime_dir
from mlplatform.core.keeping.leftovers import leftovers
from mlplatform.core.keeping.object_references import ObjectReference, object_reference
from mlplatform.core.keeping.retention import retention
from mlplatform.core.logs import log_streams_remove
from mlplatform.core.models import LogStream
from mlplatform.core.status import (
    ACTIVE_TRANSFORM,
    TERMINAL_EVALUATION,
    TERMINAL_TRANSFORM,
    AsyncInvocationStatus,
    ReplicaStatus,
    TableRunStatus,
)
from mlplatform.core.storage.objects import objects_bury
from mlplatform.core.text import text as _

object_reference(ObjectReference(_("model"), "endpoints.Model", "models", ("artifact_uri",)))
object_reference(ObjectReference(_("table run"), "endpoints.TableRun", "table-runs", ("result_uri",)))
object_reference(ObjectReference(_("evaluation"), "endpoints.Evaluation", "evaluations", ("result_uri",)))
object_reference(
    ObjectReference(
        _("transform job"),
        "endpoints.TransformJob",
        "transform-jobs",
        ("result_uri",),
        unfinished={"status__in": ACTIVE_TRANSFORM},
    )
)
object_reference(
    ObjectReference(
        _("asynchronous request"),
        "endpoints.AsyncInvocation",
        "async-inference",
        ("input_uri", "output_uri", "failure_uri"),
        expected=False,
    )
)


@retention("replica_logs", title=_("Logs of replicas that are gone"), setting="MLPLATFORM_KEEP_LOGS_DAYS")
def replica_logs_remove(before: datetime, limit: int) -> int:
    over = Replica.objects.filter(
        status__in=(ReplicaStatus.GONE, ReplicaStatus.FAILED), host="", ended_at__lt=before
    )
    ended = LogStream.objects.filter(Q(replica__in=over) | Q(pk__in=replica_logs_ended(before=before)))
    return log_streams_remove(stream_ids=ended.values("pk"), limit=limit)


@retention("endpoint_traffic", title=_("Traffic of endpoints"), setting="MLPLATFORM_KEEP_TRAFFIC_DAYS")
def endpoint_traffic_remove(before: datetime, limit: int) -> int:
    old = EndpointMetric.objects.filter(minute_at__lt=before).order_by()
    minute_ids = list(old.values_list("pk", flat=True)[:limit])
    return EndpointMetric.objects.filter(pk__in=minute_ids).delete()[0]


@retention("replica_runs", title=_("Lives of model servers"), setting="MLPLATFORM_KEEP_REPLICA_RUNS_DAYS")
def replica_runs_remove(before: datetime, limit: int) -> int:
    """Those that have ended. What endpoints cost in the past is told from them."""
    with transaction.atomic():
        over = ReplicaRun.objects.filter(ended_at__lt=before).order_by()
        found = dict(over.values_list("pk", "replica_uid")[:limit])
        n_removed = ReplicaRun.objects.filter(pk__in=found).delete()[0]
        replica_logs_orphaned(replica_uids=set(found.values()))
    return n_removed


@retention("spent_records", title=_("Costs of what was deleted"), setting="MLPLATFORM_KEEP_REPLICA_RUNS_DAYS")
def spent_records_remove(before: datetime, limit: int) -> int:
    """As long as the lives of model servers, which the other costs of the past are told from."""
    over = SpentRecord.objects.filter(at__lt=before).order_by()
    return SpentRecord.objects.filter(pk__in=list(over.values_list("pk", flat=True)[:limit])).delete()[0]


@retention("table_runs", title=_("Results of whole tables"), setting="MLPLATFORM_KEEP_TABLE_RUNS_DAYS")
def table_runs_remove(before: datetime, limit: int) -> int:
    """Runs that have ended, with their rows in the store."""
    with transaction.atomic():
        over = TableRun.objects.exclude(status=TableRunStatus.IN_PROGRESS).filter(ended_at__lt=before)
        runs = list(over.order_by("pk")[:limit])
        objects_bury([run.result_uri for run in runs if run.result_uri], reason="table run")
        return TableRun.objects.filter(pk__in=[run.pk for run in runs]).delete()[0]


@retention("evaluations", title=_("Evaluations"), setting="MLPLATFORM_KEEP_EVALUATIONS_DAYS")
def evaluations_remove(before: datetime, limit: int) -> int:
    """Those that have ended, with their predictions in the store."""
    with transaction.atomic():
        over = Evaluation.objects.filter(status__in=TERMINAL_EVALUATION, ended_at__lt=before)
        found = list(over.order_by("pk").values_list("pk", "result_uri")[:limit])
        objects_bury([result_uri for _pk, result_uri in found if result_uri], reason="evaluation")
        return Evaluation.objects.filter(pk__in=[pk for pk, _uri in found]).delete()[0]


@retention("transform_jobs", title=_("Transform jobs"), setting="MLPLATFORM_KEEP_TRANSFORM_JOBS_DAYS")
def transform_jobs_retire(before: datetime, limit: int) -> int:
    """Those that have ended, with their logs and results."""
    with transaction.atomic():
        over = TransformJob.objects.filter(status__in=TERMINAL_TRANSFORM, ended_at__lt=before)
        return transform_jobs_remove(jobs=list(over.order_by("pk")[:limit]))


@retention("async_invocations", title=_("Asynchronous requests"), setting="MLPLATFORM_KEEP_ASYNC_DAYS")
def async_invocations_retire(before: datetime, limit: int) -> int:
    """Those that have ended, with their inputs, results and failures where these are the platform's own."""
    ended = (AsyncInvocationStatus.COMPLETED, AsyncInvocationStatus.FAILED)
    with transaction.atomic():
        over = AsyncInvocation.objects.filter(status__in=ended, ended_at__lt=before)
        return async_invocations_remove(rows=over.order_by("pk")[:limit])


# Captured files are no `object_reference`: they lie in folders that the user names and never in one of the platform's
# own (`data_capture` refuses those), where alone orphans are looked for. So they stay, with their endpoint or without.
@retention("captured_files", title=_("Captured requests"), setting="MLPLATFORM_KEEP_CAPTURE_DAYS")
def captured_files_retire(before: datetime, limit: int) -> int:
    """Of hours that are over, with their objects; also those of endpoints that are no more."""
    return captured_files_remove(before=before, limit=limit)


@leftovers("transform folders")
def transform_folders() -> Iterator[Path]:
    """Folders of attempts at transform jobs that nobody makes any more."""
    yield from _not_made(data_dir() / "transforms", lambda uid, attempt: f"{uid}-{attempt}")


@leftovers("transform sockets")
def transform_sockets() -> Iterator[Path]:
    """Folders with the socket of a transform job's model server that nobody has any more."""
    yield from _not_made(runtime_dir() / "transforms", lambda uid, attempt: f"{uid[:14]}{attempt:02d}")


def _not_made(folder: Path, named: Callable[[str, int], str]) -> Iterator[Path]:
    found = list(folder.iterdir()) if folder.is_dir() else []
    owned = TransformJob.objects.filter(status__in=ACTIVE_TRANSFORM).exclude(lease_owner="") if found else ()
    kept = {named(job.uid, job.attempt) for job in owned}
    yield from (path for path in found if path.name not in kept)


@leftovers("model folders")
def model_folders() -> Iterator[Path]:
    """Unpacked models of replicas that no host has, but for those of variants that are asleep."""
    folder = data_dir() / "models"
    found = list(folder.iterdir()) if folder.is_dir() else []
    served = set(Replica.objects.exclude(host="").values_list("uid", flat=True)) if found else set()
    elastic = set(ProductionVariant.objects.exclude(idle_after_s=None).values_list("pk", flat=True))
    yield from (path for path in found if path.name not in served and asleep_variant(path) not in elastic)


@leftovers("replica sockets")
def replica_sockets() -> Iterator[Path]:
    """Folders with the socket of replicas that no host has."""
    folder = runtime_dir() / "replicas"
    found = list(folder.iterdir()) if folder.is_dir() else []
    served = set(Replica.objects.exclude(host="").values_list("uid", flat=True)) if found else set()
    kept = {socket_folder(folder, uid=uid) for uid in served}
    yield from (path for path in found if path not in kept)
