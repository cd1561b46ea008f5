"""The routes of a model server whose model is a user's script: `GET /ping`, `POST /invocations`, and
`GET /execution-parameters` for who sends it batches."""

from __future__ import annotations

import json
from time import perf_counter

from endpoints.serving.app import CUSTOM_ATTRIBUTES, MODEL_MS
from endpoints.serving.exchange import Exchange
from endpoints.serving.own_limits import BODY_BYTES_MAX, STUCK_S
from endpoints.serving.script_model import ScriptModel
from endpoints.serving.script_threads import HandlerThreads
from mlplatform.core.errors import NotFound, ServiceUnavailable

_JSON = (b"content-type", b"application/json")


class ScriptApplication:
    """Answers for one script model."""

    def __init__(self, model: ScriptModel, threads: HandlerThreads) -> None:
        self._model = model
        self._threads = threads

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.path == b"/invocations" and exchange.method == b"POST":
            await self._invoke(exchange)
        elif exchange.path == b"/ping" and exchange.method in (b"GET", b"HEAD"):
            self._ping(exchange)
        elif exchange.path == b"/execution-parameters" and exchange.method == b"GET":
            exchange.respond(200, [_JSON], self._parameters())
        else:
            raise NotFound(
                f"{exchange.path.decode('latin-1')[:200]}: only GET /ping, POST /invocations and "
                "GET /execution-parameters are served"
            )

    def _ping(self, exchange: Exchange) -> None:
        if not self._threads.is_alive:
            raise ServiceUnavailable("a thread of the handlers has ended")
        if self._threads.busy_s() > STUCK_S:
            raise ServiceUnavailable(f"one request has been in the handlers for more than {STUCK_S:g} s")
        exchange.respond(200, [_JSON], b"{}")

    async def _invoke(self, exchange: Exchange) -> None:
        body = await exchange.body(limit_bytes=BODY_BYTES_MAX)
        began_at = perf_counter()
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in exchange.headers
        }
        answered = await self._threads.run(lambda: self._model.answer(body, headers))
        answer = [
            (b"content-type", answered.content_type.encode("latin-1")),
            (MODEL_MS, b"%.3f" % ((perf_counter() - began_at) * 1000)),
        ]
        attributes = exchange.header(CUSTOM_ATTRIBUTES)
        if attributes:
            answer.append((CUSTOM_ATTRIBUTES, attributes))
        exchange.respond(200, answer, answered.body)

    def _parameters(self) -> bytes:
        content = {
            "MaxConcurrentTransforms": self._model.n_threads,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": BODY_BYTES_MAX // 2**20,
        }
        return json.dumps(content).encode()
