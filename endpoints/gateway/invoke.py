"""One invocation: choose variant and replica, call the model server, try another replica where that is safe,
count.

The hot path of the platform: nothing here touches the database or Django, and of the disk data capture alone, with one
write that may fail. Who may call was settled before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from time import monotonic, perf_counter, time
from urllib.parse import parse_qs

from endpoints.capture.recorder import Recorder
from endpoints.gateway.balance import Balancer, LiveRoute, LiveVariant, Replica
from endpoints.gateway.bodies import BodyBudget
from endpoints.gateway.refresh import TableKeeper
from endpoints.gateway.tally import Tally
from endpoints.gateway.waiting import ElasticVariant, WaitingRoom
from endpoints.serving.answers import (
    MAX_BODY_BYTES,
    ModelFault,
    ValidationError,
    error_answer,
    error_status,
)
from endpoints.serving.client import Answer, AnswerTooLong, CallFailed
from endpoints.serving.exchange import Exchange
from mlplatform.core.errors import NotFound, PlatformError, ServiceUnavailable

MAX_ANSWER_BYTES = 256 * 1024 * 1024

_INVOCATIONS = re.compile(rb"/api/v1/projects/([^/%]+)/endpoints/([^/%]+)/invocations/?")
_TARGET_VARIANT = b"x-amzn-sagemaker-target-variant"
_CUSTOM_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"
_INFERENCE_ID = b"x-amzn-sagemaker-inference-id"
_TO_MODEL = frozenset((b"content-type", b"accept"))
_FROM_MODEL = frozenset(
    (b"content-type", b"x-amzn-errortype", b"retry-after", b"x-mlplatform-model-ms", _CUSTOM_ATTRIBUTES)
)
_SAGEMAKER = b"x-amzn-sagemaker-"
_COLD_START = b"x-mlplatform-cold-start"
_LOOK_AGAIN_S = 1.0
ANSWER_WITHIN = b"x-mlplatform-answer-within"
"""Seconds that the model may take, where the door allows for more than usual."""


@dataclass(slots=True)
class Timing:
    """When an invocation arrived, what the replica that answered took, what all that were tried, the wait for one,
    what one may take, and how many may have begun to work on it and died.
    """

    began_at: float
    model_s: float = 0.0
    is_answered: bool = False
    busy_s: float = 0.0
    waited_s: float | None = None
    within_s: float = 60.0
    n_delivered: int = 0


class Invoker:
    """Serves invocations from the live routes.

    Args:
        answer_within_s: What a model server may take for one answer, as in the managed service.
        n_outstanding_max: Requests in hand per replica; one more is Throttled.
        bodies_bytes_max: Bytes of bodies in hand, of all requests together; one more is Throttled.
        wait_within_s: How long a request waits for the first replica of a variant that was asleep.
        n_waiting_max: Requests that wait so, over all variants; one more is Throttled.
        body_bytes_max: Bytes of one request's body.
        patient_s: For so long an answer may be waited for whose request says so; such a door also serves asynchronous
            endpoints. 0 for none.
        recorder: Captures what is answered, of endpoints that want it, before it is sent.
    """

    def __init__(
        self,
        balancer: Balancer,
        keeper: TableKeeper,
        tally: Tally,
        *,
        answer_within_s: float = 60.0,
        n_outstanding_max: int = 200,
        bodies_bytes_max: int = 256 * 1024 * 1024,
        wait_within_s: float = 60.0,
        n_waiting_max: int = 2000,
        body_bytes_max: int = MAX_BODY_BYTES,
        patient_s: float = 0.0,
        recorder: Recorder | None = None,
    ) -> None:
        self._recorder = recorder
        self._body_bytes_max = body_bytes_max
        self._patient_s = patient_s
        self._wait_within_s = wait_within_s
        self._room = WaitingRoom(n_waiting_max)
        self._bodies = BodyBudget(bodies_bytes_max)
        self._balancer = balancer
        self._keeper = keeper
        self._tally = tally
        self._answer_within_s = answer_within_s
        self._n_outstanding_max = n_outstanding_max

    async def __call__(
        self,
        exchange: Exchange,
        *,
        project: str,
        endpoint_name: str,
        request_id: bytes,
        may_capture: bool = True,
    ) -> None:
        """Answers the exchange.

        Args:
            may_capture: Whether it is a request of the endpoint's users, which is captured where that is on.

        Raises:
            NotFound: There is no such endpoint.
            ValidationError: `variant` names none of its variants, or ?variant= and the header differ.
        """
        timing = Timing(perf_counter(), within_s=self._within_s(exchange))
        route = await self._route(project, endpoint_name)
        if route.is_async and not self._patient_s:
            raise ValidationError(
                f"endpoint {endpoint_name!r} is asynchronous: it takes requests as objects; "
                "send them to .../async-invocations/"
            )
        variant = route.choose(_target_variant(exchange))
        try:
            with self._bodies.holding() as held:
                body = await exchange.body(limit_bytes=self._body_bytes_max, held=held)
                answer = await self._answer(exchange, route, variant, body, request_id, timing)
            status, headers, content = answer.status, _from_model(answer), answer.pieces
            if may_capture and route.capture is not None and self._recorder is not None and status < 300:
                self._recorder.take(
                    route.capture,
                    variant.name,
                    request=exchange.headers,
                    body=body,
                    answer=headers,
                    pieces=content,
                )
        except PlatformError as error:
            status, headers, said = error_answer(error, request_id.decode("latin-1"))
            content = (said,)
            status = error_status(error)
            headers = [header for header in headers if header[0] != b"x-request-id"]
        headers += [
            (b"x-amzn-invoked-production-variant", variant.name.encode()),
            (b"x-request-id", request_id),
        ]
        headers += [(name, value) for name, value in exchange.headers if name == _INFERENCE_ID]
        if timing.waited_s is not None:
            headers.append((_COLD_START, b"%d" % round(timing.waited_s * 1000)))
        exchange.respond(status, headers, content)
        self._tally.add(
            endpoint_id=route.endpoint_id,
            variant=variant.name,
            now=time(),
            status=status,
            latency_s=perf_counter() - timing.began_at if timing.is_answered else None,
            model_s=timing.model_s,
            busy_s=timing.busy_s,
            is_cold=timing.waited_s is not None,
        )

    @property
    def body_bytes(self) -> int:
        """Bytes of requests' bodies in hand."""
        return self._bodies.held_bytes

    def _within_s(self, exchange: Exchange) -> float:
        """How long the model may take: as long as the request says, where this door allows for it."""
        said = exchange.header(ANSWER_WITHIN) if self._patient_s else None
        if said is None or not said.isdigit():
            return self._answer_within_s
        return min(float(said), self._patient_s)

    def require_table(self) -> None:
        """Raises ServiceUnavailable as long as nothing is known of endpoints and keys."""
        if not self._balancer.has_table:
            raise ServiceUnavailable("the gateway has not read its routing table yet; try again in a moment")

    async def _route(self, project: str, endpoint_name: str) -> LiveRoute:
        """An endpoint that is not known may have been made a moment ago: the table is asked for once more."""
        route = self._balancer.route(project, endpoint_name)
        if route is None and await self._keeper.refresh_sparingly():
            route = self._balancer.route(project, endpoint_name)
        if route is None:
            raise endpoint_not_found(project, endpoint_name)
        return route

    async def _answer(
        self,
        exchange: Exchange,
        route: LiveRoute,
        variant: LiveVariant,
        body: bytes,
        request_id: bytes,
        timing: Timing,
    ) -> Answer:
        request = _request(exchange, body, request_id)
        if variant.elastic is None:
            return await self._predict(route, variant, request, timing)
        with variant.elastic.holding(otherwise_max=self._n_outstanding_max):
            return await self._predict_elastic(variant, variant.elastic, request, timing)

    async def _predict_elastic(
        self, variant: LiveVariant, elastic: ElasticVariant, request: bytes, timing: Timing
    ) -> Answer:
        """As `_predict`, but a variant without a replica is waited for; one that dies meanwhile is started again."""
        answer = await self._try_replicas(variant, request, timing)
        began_at = perf_counter()
        while answer is None:
            left_s = self._wait_within_s - (timing.waited_s or 0.0)
            # One that the table has may answer all the same: it was only this call that failed.
            again_s = _LOOK_AGAIN_S if variant.replicas else None
            with elastic.in_line(self._room) as called:
                try:
                    await elastic.first_replica(called, within_s=max(left_s, 0.0), again_s=again_s)
                finally:
                    timing.waited_s = perf_counter() - began_at
            answer = await self._try_replicas(variant, request, timing)
            if answer is None and elastic.is_closed:
                raise ServiceUnavailable(
                    f"variant {variant.name!r} was changed while this request waited for it; try again"
                )
        return answer

    async def _predict(
        self, route: LiveRoute, variant: LiveVariant, request: bytes, timing: Timing
    ) -> Answer:
        answer = await self._try_replicas(variant, request, timing)
        if answer is None and await self._keeper.refresh():
            answer = await self._try_replicas(
                variant, request, timing
            )  # the endpoint may just have been updated
        if answer is None:
            raise ServiceUnavailable(
                f"endpoint {route.endpoint_name!r} is {route.status}: "
                f"no replica of variant {variant.name!r} is ready"
            )
        return answer

    async def _try_replicas(self, variant: LiveVariant, request: bytes, timing: Timing) -> Answer | None:
        """The answer of the first replica that gives one; None when none could be reached.

        A request that a replica may have begun to work on is given to one other replica at most, however often it
        is tried: it might be what ended the first.
        """
        tried: list[Replica] = []
        while True:
            replica = variant.pick(tried=tried, n_outstanding_max=self._n_outstanding_max)
            if replica is None:
                return None
            tried.append(replica)
            try:
                return await self._call(replica, request, timing)
            except CallFailed as failure:
                _raise_if_final(failure)
                replica.failed(monotonic())
                timing.n_delivered += failure.is_delivered
                if timing.n_delivered > 1:
                    raise _died() from None

    async def _call(self, replica: Replica, request: bytes, timing: Timing) -> Answer:
        replica.n_outstanding += 1
        began_at = perf_counter()
        try:
            answer = await replica.pool.call(request, limit_bytes=MAX_ANSWER_BYTES, timeout_s=timing.within_s)
        finally:
            replica.n_outstanding -= 1
            timing.model_s = perf_counter() - began_at
            timing.busy_s += timing.model_s
        timing.is_answered = True
        replica.succeeded()
        return _checked(answer)


def invocation_of(exchange: Exchange) -> tuple[str, str] | None:
    """Project and endpoint of the invocation that this is; None when it is something else."""
    found = _INVOCATIONS.fullmatch(exchange.path) if exchange.method == b"POST" else None
    if found is None:
        return None
    project, endpoint_name = found.groups()
    return project.decode("latin-1"), endpoint_name.decode("latin-1")


def endpoint_not_found(project: str, endpoint_name: str) -> NotFound:
    """The same words whether the endpoint never was or is another project's."""
    return NotFound(f"endpoint {endpoint_name!r} was not found in project {project!r}")


def _target_variant(exchange: Exchange) -> str | None:
    target = exchange.header(_TARGET_VARIANT)
    if exchange.query:
        named = parse_qs(exchange.query.decode("latin-1")).get("variant")
        if named:
            return named[0]
    return target.decode("latin-1") if target else None


def _request(exchange: Exchange, body: bytes, request_id: bytes) -> bytes:
    lines = [b"POST /invocations HTTP/1.1\r\nhost: model\r\n"]
    for name, value in exchange.headers:
        if name in _TO_MODEL or (name.startswith(_SAGEMAKER) and name != _TARGET_VARIANT):
            lines.append(b"%b: %b\r\n" % (name, value))
    lines.append(b"x-request-id: %b\r\ncontent-length: %d\r\n\r\n" % (request_id, len(body)))
    lines.append(body)
    return b"".join(lines)


def _from_model(answer: Answer) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in answer.headers if name in _FROM_MODEL]


def _checked(answer: Answer) -> Answer:
    """An error that is not in the service's form is the model's own, whatever status a user's server gave
    it."""
    if answer.status < 400 or answer.header(b"x-amzn-errortype"):
        return answer
    own_words = answer.body[:4096].decode("utf-8", "replace")
    raise ModelFault(
        f'Received server error ({answer.status}) from model with message "{own_words[:1000]}"',
        original_status=answer.status,
        original_message=own_words,
    )


def _raise_if_final(failure: CallFailed) -> None:
    if failure.is_late:
        own_words = "the model server did not answer in time"
    elif isinstance(failure, AnswerTooLong):
        own_words = f"the model's answer has {failure}"
    elif failure.is_answered:
        own_words = "the model server broke off in the middle of its answer"
    else:
        return
    raise ModelFault(own_words, original_status=0, original_message=own_words) from None


def _died() -> ModelFault:
    own_words = "two model servers ended while they worked on this request"
    return ModelFault(own_words, original_status=0, original_message=own_words)
