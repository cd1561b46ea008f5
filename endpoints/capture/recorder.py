"""What the gateway hands an answered request to. It captures or it does not; it never raises and waits for nobody."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from random import random
from time import monotonic, time
from typing import Final

from endpoints.capture.record import Headers, record_line
from endpoints.capture.rule import LiveCapture
from endpoints.capture.spool import Spool, SpoolRefused
from mlplatform.core.errors import TransientError
from mlplatform.core.storage.faults import storage_fault
from mlplatform.core.text import Text
from mlplatform.core.text import text as _

logger = logging.getLogger(__name__)


PROBLEM_S: Final = 60.0
"""So long what kept a record out is told when no more requests come."""


class Recorder:
    """Captures into a spool.

    Args:
        draw: A number from 0 to below 1 for each request, which decides whether it is captured.
    """

    def __init__(self, spool: Spool, *, draw: Callable[[], float] = random) -> None:
        self._spool = spool
        self._draw = draw
        self._dropped: Counter[int] = Counter()
        self._problem: Text | None = None
        self._failed_at = 0.0

    def take(
        self,
        capture: LiveCapture,
        variant: str,
        *,
        request: Headers,
        body: bytes,
        answer: Headers,
        pieces: Sequence[bytes],
    ) -> None:
        """Captures what was asked and what is about to be answered, if chance has it. Called on the event loop."""
        if self._draw() >= capture.share:
            return
        try:
            now = time()
            if len(body) + sum(map(len, pieces)) > self._spool.limits.record_bytes:
                self._dropped[capture.endpoint_id] += 1
                return
            content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            line = record_line(capture, request=request, body=body, answer=answer, content=content, now=now)
            self._spool.append(capture.place(variant), line, now=now)
        except Exception as error:
            self._failed(capture, error)
        else:
            self._problem = None

    def turn(self) -> None:
        """Hands what is old enough over to the uploader. Never raises; called about once a second."""
        try:
            self._spool.close_old(now=time())
        except OSError as error:
            logger.warning("a file of captured records could not be closed: %s", error)

    @property
    def n_dropped(self) -> dict[int, int]:
        """How many records of each endpoint were drawn and not captured, since the process began. From any thread."""
        return dict(self._dropped)

    @property
    def problem(self) -> Text | None:
        """Why none is captured now; None while all is well. From any thread."""
        problem = self._problem
        return problem if monotonic() - self._failed_at < PROBLEM_S else None

    def close(self) -> None:
        self._spool.close()

    def _failed(self, capture: LiveCapture, error: Exception) -> None:
        self._dropped[capture.endpoint_id] += 1
        problem = unwritten(error)
        if self._problem is None:  # once, however many requests there are
            logger.warning("requests are answered and not captured: %s", problem, exc_info=_unforeseen(error))
        self._problem, self._failed_at = problem, monotonic()


def unwritten(error: Exception) -> Text:
    """Why a record cannot be written, for people."""
    if isinstance(error, SpoolRefused):
        return error.message
    fault: TransientError | None = storage_fault(error)
    if fault is not None:
        return _("Requests are answered and not captured. {reason}", reason=fault.message)
    return _(
        "Requests are answered and not captured, since their records cannot be written in the data directory: {reason}",
        reason=str(error)[:300],
    )


def _unforeseen(error: Exception) -> bool:
    return not isinstance(error, OSError | SpoolRefused)
