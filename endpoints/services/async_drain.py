"""Answers the asynchronous requests of an endpoint: claims them, calls the endpoint, stores what it says, ends them.

One worker drains an endpoint, with as many calls at a time as its configuration allows. A claim has a lease: what a
lost worker claimed waits again. An object is written before its row says so, and only who holds the lease writes the
row.
Called by the Celery task and by the sweeps of hosts and scheduler.
"""

from __future__ import annotations

import http.client
import json
import logging
import tempfile
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import Error as DatabaseFault
from django.db import connection, transaction
from django.db.models import F

from endpoints.async_call import AsyncCall, CallAnswer
from endpoints.models import AsyncInvocation, Endpoint, EndpointConfig
from endpoints.services.async_config import CONCURRENT_DEFAULT
from endpoints.services.async_invocations import async_invocation_fail
from endpoints.services.async_sweep import is_drained, lease_end
from endpoints.services.run_lease import ATTEMPTS_MAX, RENEW_EVERY_S
from endpoints.services.run_results import run_result_keep
from endpoints.services.run_tokens import run_token_for
from jobs.services.owners import owner_new
from jobs.services.worker_state import worker_state
from mlplatform.core import clock
from mlplatform.core.env import runs_socket
from mlplatform.core.errors import NotFound, PlatformError, TransientError
from mlplatform.core.health.outages import patiently
from mlplatform.core.status import AsyncInvocationStatus, EndpointStatus
from mlplatform.core.storage.objects import object_store
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

logger = logging.getLogger(__name__)
THREADS_MAX: Final = 64
PATIENCE_S: Final = 120.0
AGAIN_FIRST_S: Final = 0.1
AGAIN_MAX_S: Final = 2.0
LOOK_EVERY_S: Final = 0.2
FAILURE_BYTES: Final = 64 * 1024
_BUSY: Final = frozenset({429, 503})


def async_drain(*, endpoint_id: int) -> bool:
    """Answers what waits, until nothing does, if nobody else is at it. Called by the Celery task."""
    if worker_state().shutting_down() or is_drained(endpoint_id):
        return False
    return _Drain(endpoint_id).run() > 0


class _GivenBack(Exception):
    """The worker ends, or the store is away: the request waits again."""


class _Drain:
    """One worker at one endpoint."""

    def __init__(self, endpoint_id: int) -> None:
        self._endpoint_id = endpoint_id
        self._owner = owner_new(worker_name=worker_state().name)
        self._over = threading.Event()
        self._calls: dict[int, AsyncCall] = {}
        self._lock = threading.Lock()

    def run(self) -> int:
        """How many requests it claimed."""
        ended = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(ended,), name="async leases", daemon=True)
        keeper.start()
        try:
            return self._answer_all()
        finally:
            ended.set()
            keeper.join()

    def _answer_all(self) -> int:
        n_claimed = 0
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="async call") as pool:
            while True:
                while not self._over.is_set() and (row := self._claim(len(running))) is not None:
                    n_claimed += 1
                    running.add(pool.submit(self._answer, row))
                if not running:
                    return n_claimed
                done, running = wait(running, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                if worker_state().shutting_down():
                    self._break_off()

    def _claim(self, n_running: int) -> AsyncInvocation | None:
        """The next request that may be sent now. The endpoint's row is the lock of its limit."""
        if n_running >= THREADS_MAX:
            return None
        with transaction.atomic():
            endpoint = (
                Endpoint.objects.select_for_update(of=("self",))
                .filter(pk=self._endpoint_id)
                .exclude(status=EndpointStatus.DELETING)
                .select_related("live", "wanted", "project")
                .first()
            )
            if endpoint is None:
                return None
            rows = AsyncInvocation.objects.filter(endpoint=endpoint)
            if rows.filter(status=AsyncInvocationStatus.IN_PROGRESS).count() >= _limit(endpoint):
                return None
            row = rows.filter(status=AsyncInvocationStatus.PENDING).order_by("pk").first()
            if row is None:
                return None
            status_update(
                rows.filter(pk=row.pk, status=AsyncInvocationStatus.PENDING),
                to=AsyncInvocationStatus.IN_PROGRESS,
                lease_owner=self._owner,
                lease_expires_at=lease_end(),
                attempt=F("attempt") + 1,
                started_at=clock.now(),
            )
            row.endpoint = endpoint
            return row

    def _answer(self, row: AsyncInvocation) -> None:
        """One request to its end. Raises nothing: what goes wrong is an end too, or the request waits again."""
        try:
            with tempfile.TemporaryDirectory(
                prefix="async-", dir=settings.FILE_UPLOAD_TEMP_DIR, ignore_cleanup_errors=True
            ) as folder:
                path = Path(folder) / "answer"
                answer = self._called(row, path)
                self._end(row, answer, path)
        except _GivenBack:
            self._give_back(row)
        except NotFound as error:
            self._fail(row, 400, "ValidationError", error.message)
        except TransientError as error:
            logger.warning("asynchronous request %s waits again: %s", row.uid, error.message)
            self._give_back(row, counts=True)
        except DatabaseFault:
            logger.warning("asynchronous request %s: the database is away; its lease runs out", row.uid)
        except Exception as error:
            logger.exception("asynchronous request %s", row.uid)
            self._fail(row, 500, "InternalFailure", f"The platform could not carry this request out: {error}")
        finally:
            connection.close()

    def _called(self, row: AsyncInvocation, path: Path) -> CallAnswer:
        """The endpoint's answer, whatever it says, once it is not busy. Raises _GivenBack, NotFound, TransientError."""
        deadline = time.monotonic() + row.timeout_s
        store_deadline = time.monotonic() + settings.MLPLATFORM_STORE_PATIENCE_S
        pause_s = AGAIN_FIRST_S
        while True:
            try:
                answer = self._call(row, path)
                if answer.status not in _BUSY or time.monotonic() > deadline:
                    return answer
            except TimeoutError:
                path.write_text(
                    json.dumps({"code": "ModelError", "message": "the endpoint did not answer in time"})
                )
                return CallAnswer(504, {})
            except TransientError as error:
                if time.monotonic() > store_deadline:
                    raise
                logger.warning("asynchronous request %s waits for its input: %s", row.uid, error.message)
            except (OSError, http.client.HTTPException) as error:
                self._stop_if_over()
                if time.monotonic() > deadline:
                    said = f"the gateway cannot be reached: {error}"
                    path.write_text(json.dumps({"code": "ServiceUnavailable", "message": said}))
                    return CallAnswer(503, {})
            self._stop_if_over()
            if self._over.wait(pause_s):
                raise _GivenBack
            pause_s = min(2 * pause_s, AGAIN_MAX_S)

    def _call(self, row: AsyncInvocation, path: Path) -> CallAnswer:
        endpoint = row.endpoint
        store = object_store()
        size = store.size(row.input_uri)
        if size is None:
            raise NotFound(_("The input {uri} is no longer there", uri=row.input_uri))
        call = AsyncCall(str(runs_socket()), timeout_s=row.timeout_s)
        with self._lock:
            self._calls[row.pk] = call
        try:
            return call.send(
                project=endpoint.project.name,
                endpoint=endpoint.name,
                token=run_token_for(endpoint=endpoint, valid_s=row.timeout_s + 300, is_captured=True),
                body=store.chunks(row.input_uri),
                size_bytes=size,
                headers={
                    "Content-Type": row.content_type,
                    "Accept": row.accept or "application/json",
                    "X-Amzn-SageMaker-Custom-Attributes": row.custom_attributes,
                    "X-Amzn-SageMaker-Inference-Id": row.inference_id,
                },
                variant=row.target_variant,
                into=path,
            )
        finally:
            with self._lock:
                self._calls.pop(row.pk, None)
            call.close()

    def _end(self, row: AsyncInvocation, answer: CallAnswer, path: Path) -> None:
        if answer.status >= 400:
            code, message = _words(path, answer)
            self._fail(row, answer.status, code, message)
            return
        if not self._mine(row).exists():
            return
        size = path.stat().st_size
        try:
            run_result_keep(path, row.output_uri, over=self._over)
        except TransientError:
            self._stop_if_over()
            raise
        values = {"output_bytes": size, "model_ms": _model_ms(answer), "ended_at": clock.now()}
        self._write(row, AsyncInvocationStatus.COMPLETED, **values)

    def _fail(self, row: AsyncInvocation, status: int, code: str, message: str) -> None:
        held = {"lease_owner": self._owner}
        try:
            if self._mine(row).exists():
                async_invocation_fail(row=row, status=status, code=code, message=message, **held)
            elif not AsyncInvocation.objects.filter(pk=row.pk).exists():
                # Its endpoint is gone, and the row with it; whoever waits for an object gets one.
                async_invocation_fail(row=row, status=status, code=code, message=message)
        except (PlatformError, DatabaseFault) as error:
            logger.warning("asynchronous request %s: its failure cannot be written: %s", row.uid, error)

    def _write(self, row: AsyncInvocation, to: AsyncInvocationStatus, **values: Any) -> None:
        free = {"lease_owner": "", "lease_expires_at": None}
        patiently(lambda: status_update(self._mine(row), to=to, **values, **free), within_s=PATIENCE_S)

    def _give_back(self, row: AsyncInvocation, *, counts: bool = False) -> None:
        """Waits again. What was given back because the worker ends counts as no attempt."""
        values: dict[str, Any] = {} if counts else {"attempt": F("attempt") - 1}
        if counts and row.attempt + 1 >= ATTEMPTS_MAX:
            self._fail(row, 503, "ServiceUnavailable", "the object store was away, in each attempt")
            return
        self._write(row, AsyncInvocationStatus.PENDING, started_at=None, **values)

    def _mine(self, row: AsyncInvocation) -> Any:
        return AsyncInvocation.objects.filter(
            pk=row.pk, lease_owner=self._owner, status=AsyncInvocationStatus.IN_PROGRESS
        )

    def _stop_if_over(self) -> None:
        if self._over.is_set():
            raise _GivenBack

    def _break_off(self) -> None:
        self._over.set()
        with self._lock:
            calls = list(self._calls.values())
        for call in calls:
            call.break_off()

    def _keep(self, ended: threading.Event) -> None:
        try:
            while not ended.wait(RENEW_EVERY_S):
                try:
                    held = AsyncInvocation.objects.filter(lease_owner=self._owner)
                    held.update(lease_expires_at=lease_end())
                except DatabaseFault as error:
                    logger.warning("leases of asynchronous requests are not renewed now: %s", error)
                    connection.close()
        finally:
            connection.close()


def _limit(endpoint: Endpoint) -> int:
    """Calls at a time: for each instance that the endpoint may have, so many; of a serverless one its concurrency."""
    config: EndpointConfig = endpoint.live or endpoint.wanted
    each = int((config.async_inference or {}).get("max_concurrent_per_instance") or CONCURRENT_DEFAULT)
    return sum(
        variant.serverless_max_concurrency or each * variant.instance_count
        for variant in config.variants.all()
    )


def _words(path: Path, answer: CallAnswer) -> tuple[str, str]:
    """The code and the words of a refusal."""
    with path.open("rb") as file:
        head = file.read(FAILURE_BYTES)
    try:
        said = json.loads(head)
    except (ValueError, RecursionError):
        said = None
    code = answer.headers.get("x-amzn-errortype") or "ModelError"
    if not isinstance(said, dict):
        return code, head.decode("utf-8", "replace")[:2000]
    return str(said.get("code") or said.get("__type") or code), str(said.get("message") or said)[:2000]


def _model_ms(answer: CallAnswer) -> float | None:
    try:
        return float(answer.headers["x-mlplatform-model-ms"])
    except (KeyError, ValueError):
        return None
