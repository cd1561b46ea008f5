"""Sends the records of one object through the model, several requests at a time, and writes the lines in order.

Memory is constant: what is read ahead, in flight and waiting to be written is bounded by the number of requests in
flight. Runs in the process of a transform.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from endpoints.transform.answers import answers_of
from endpoints.transform.failure import Fault, TransformFailed
from endpoints.transform.forms import RecordForm
from endpoints.transform.model_client import ModelAnswer, ModelClient, words_of
from endpoints.transform.records import Record, records_read, too_large
from endpoints.transform.spec import JSON, TransformInput, TransformSpec
from mlplatform.core.errors import DataError
from mlplatform.core.text import text as _

ROWS_MAX: Final = 4096
"""Records of one request: as many as the model server puts into one batch."""
AHEAD: Final = 2
"""Requests that are prepared or answered and not yet written, for each in flight."""
TELL_EVERY_S: Final = 0.5


@dataclass(frozen=True)
class Request:
    """Records that go out together. `records` is empty where nothing is joined; `n_bytes` is about their size in the
    input.
    """

    first: int
    lines: list[bytes]
    records: list[Record]
    n_bytes: int

    @property
    def body(self) -> bytes:
        return b"\n".join(self.lines)


class Sender:
    """One object after the other through one model server.

    Args:
        told: Called about twice a second with how many records of this process are done, and how many bytes they had.

    Raises:
        FilterError: a filter that cannot be read.
    """

    def __init__(self, spec: TransformSpec, told: Callable[[int, int], None]) -> None:
        self._spec = spec
        self._form = RecordForm.of(spec)
        self._is_whole = spec.split_type == "None"
        self._parses = self._form.joins or not self._form.output_filter.is_whole
        self._told = told
        self._told_at = 0.0
        self.n_done = self.n_bytes = 0
        self._failed = False
        self._client = ModelClient(
            spec.socket, content_type=spec.content_type, accept=spec.accept, ended=lambda: self._failed
        )

    def send(self, given: TransformInput) -> int:
        """Writes the result of one object; how many records it had.

        Raises:
            TransformFailed: with the number of the record at fault.
            OSError: the disk takes nothing.
        """
        before = self.n_done
        try:
            with Path(given.result).open("wb") as out, ThreadPoolExecutor(self._spec.max_concurrent) as pool:
                try:
                    self._pump(given, out, pool)
                except BaseException:
                    self._failed = True
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        finally:
            self._client.close()
        return self.n_done - before

    def _pump(self, given: TransformInput, out: IO[bytes], pool: ThreadPoolExecutor) -> None:
        waiting: deque[tuple[Request, Future[ModelAnswer]]] = deque()
        for request in self._requests(Path(given.data)):
            waiting.append((request, pool.submit(self._client.call, request.body)))
            while len(waiting) >= AHEAD * self._spec.max_concurrent or (waiting and waiting[0][1].done()):
                self._write(out, *waiting.popleft())
        while waiting:
            self._write(out, *waiting.popleft())

    def _requests(self, path: Path) -> Iterator[Request]:
        limit_bytes = self._spec.max_payload_bytes
        n_rows = 1 if self._alone else ROWS_MAX
        first, held, records, n_bytes, n_read = 1, list[bytes](), list[Record](), 0, 0
        for number, record in enumerate(self._records(path), 1):
            line = self._form.sent(record, number)
            if len(line) > limit_bytes:
                raise too_large(number, limit_bytes)
            if held and (len(held) >= n_rows or n_bytes + len(line) + 1 > limit_bytes):
                yield Request(first, held, records, n_read)
                first, held, records, n_bytes, n_read = number, [], [], 0, 0
            held.append(line)
            n_bytes += len(line) + 1
            n_read += _size(record)
            if self._form.keeps_records:
                records.append(record)
        if held:
            yield Request(first, held, records, n_read)

    def _records(self, path: Path) -> Iterator[Record]:
        number = 0
        try:
            for record in records_read(path, self._spec):
                number += 1
                yield record
        except DataError as error:
            raise TransformFailed(error.text, record=error.row) from error

    @property
    def _alone(self) -> bool:
        """One record a request: as asked, or as several JSON documents are none."""
        is_single = self._spec.batch_strategy == "SingleRecord"
        return is_single or self._is_whole or self._spec.media_type == JSON

    def _write(self, out: IO[bytes], request: Request, answered: Future[ModelAnswer]) -> None:
        try:
            answer = answered.result()
        except TransformFailed as failed:
            if failed.fault is Fault.GONE:
                raise
            raise _placed(failed, request) from failed
        if answer.status >= 400:
            raise self._refused(request, answer)
        if self._is_whole and not self._parses:
            out.write(answer.body)
        else:
            self._write_lines(out, request, answer)
        self.n_done += len(request.lines)
        self.n_bytes += request.n_bytes
        now = time.monotonic()
        if now - self._told_at > TELL_EVERY_S:
            self._told_at = now
            self._told(self.n_done, self.n_bytes)

    def _write_lines(self, out: IO[bytes], request: Request, answer: ModelAnswer) -> None:
        n_records = len(request.lines)
        needs_names = self._form.has_header and request.first == 1
        try:
            answers = answers_of(
                answer.body, answer.content_type, n_records, request.first, parsed=self._parses
            )
        except TransformFailed as failed:
            raise _placed(failed, request) from failed
        form, first = self._form, request.first
        if needs_names:
            out.write(form.header(answers[0]) + b"\n")
        records: list[Record | None] = list(request.records) or [None] * n_records
        out.writelines(
            form.line(record, one, number) + b"\n"
            for number, (record, one) in enumerate(zip(records, answers, strict=True), first)
        )

    def _refused(self, request: Request, answer: ModelAnswer) -> TransformFailed:
        """The first record that the model refuses, with its words: by its own row number, or found by halves."""
        words, row = words_of(answer)
        fault = Fault.DATA if answer.status < 500 and answer.status != 424 else Fault.MODEL
        record = request.first
        if row is not None and 1 <= row <= len(request.lines):
            record = request.first + row - 1
        elif len(request.lines) > 1:
            record, found = self._first_refused(request.first, request.lines)
            words = words_of(found)[0] if found is not None else words
        if self._is_whole:
            said = _("the model answered {status}: {words}", status=answer.status, words=words)
            return TransformFailed(said, fault=fault)
        said = _(
            "record {number}: the model answered {status}: {words}",
            number=record,
            status=answer.status,
            words=words,
        )
        return TransformFailed(said, fault=fault, record=record)

    def _first_refused(self, first: int, lines: list[bytes]) -> tuple[int, ModelAnswer | None]:
        found: ModelAnswer | None = None
        while len(lines) > 1:
            half = len(lines) // 2
            answer = self._client.call(b"\n".join(lines[:half]))
            if answer.status >= 400:
                lines, found = lines[:half], answer
            else:
                first, lines = first + half, lines[half:]
        if found is None:
            answer = self._client.call(lines[0])
            found = answer if answer.status >= 400 else None
        return first, found


def _size(record: Record) -> int:
    """About its bytes in the input."""
    return len(record) + 1 if isinstance(record, bytes) else sum(map(len, record)) + len(record)


def _placed(failed: TransformFailed, request: Request) -> TransformFailed:
    """With the records that the request had, where the failure names none."""
    if failed.record is not None:
        return failed
    last = request.first + len(request.lines) - 1
    said = _("records {first} to {last}: {reason}", first=request.first, last=last, reason=failed.message)
    return TransformFailed(said, fault=failed.fault, record=request.first)
