"""The model server's two routes: `GET /ping` and `POST /invocations`, as a container of the managed service
has them."""

from __future__ import annotations

import asyncio
from time import perf_counter

from endpoints.serving.answers import ValidationError
from endpoints.serving.batching import Batcher, Rows
from endpoints.serving.decode import decode
from endpoints.serving.encode import Format, Prediction, encode, format_choose
from endpoints.serving.exchange import Exchange
from endpoints.serving.loader import LoadedModel
from endpoints.serving.own_limits import BODY_BYTES_MAX, STUCK_S
from mlplatform.core.errors import DataError, NotFound, ServiceUnavailable

_INLINE_BODY_BYTES = 128 * 1024
_INLINE_CELLS = 200_000
CUSTOM_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"
MODEL_MS = b"x-mlplatform-model-ms"


class ModelApplication:
    """Answers for one loaded model."""

    def __init__(self, model: LoadedModel, batcher: Batcher) -> None:
        self._model = model
        self._batcher = batcher

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.path == b"/invocations" and exchange.method == b"POST":
            await self._invoke(exchange)
        elif exchange.path == b"/ping" and exchange.method in (b"GET", b"HEAD"):
            self._ping(exchange)
        else:
            raise NotFound(
                f"{exchange.path.decode('latin-1')[:200]}: only GET /ping and POST /invocations are served"
            )

    def _ping(self, exchange: Exchange) -> None:
        if not self._batcher.is_alive:
            raise ServiceUnavailable("the predictor's thread has ended")
        if self._batcher.busy_s() > STUCK_S:
            raise ServiceUnavailable(f"one prediction has been running for more than {STUCK_S:g} s")
        exchange.respond(200, [(b"content-type", b"application/json")], b"{}")

    async def _invoke(self, exchange: Exchange) -> None:
        body = await exchange.body(limit_bytes=BODY_BYTES_MAX)
        began_at = perf_counter()
        answer = format_choose(exchange.header(b"accept"), self._model.response_types)
        X = await self._decode(body, exchange.header(b"content-type"))
        prediction = await self._batcher.predict(X, verbose=answer.verbose)
        content = await self._encode(prediction, answer)
        headers = [
            (b"content-type", answer.content_type),
            (MODEL_MS, b"%.3f" % ((perf_counter() - began_at) * 1000)),
        ]
        attributes = exchange.header(CUSTOM_ATTRIBUTES)
        if attributes:
            headers.append((CUSTOM_ATTRIBUTES, attributes))
        exchange.respond(200, headers, content)

    async def _decode(self, body: bytes, content_type: bytes | None) -> Rows:
        model = self._model
        try:
            if len(body) <= _INLINE_BODY_BYTES:
                return decode(
                    body,
                    content_type,
                    model.n_features,
                    accepted=model.request_types,
                    missing=model.takes_missing,
                )
            return await asyncio.to_thread(
                decode,
                body,
                content_type,
                model.n_features,
                accepted=model.request_types,
                missing=model.takes_missing,
            )
        except DataError as error:
            # Where labels come first, columns are not counted from the first feature.
            names = () if b"label_size" in (content_type or b"").lower() else model.feature_names
            raise ValidationError.of_data(error, feature_names=names) from None

    async def _encode(self, prediction: Prediction, answer: Format) -> bytes:
        columns = self._model.columns(prediction, answer)
        if sum(prediction[name].size for name in columns) <= _INLINE_CELLS:
            return encode(prediction, columns, answer)
        return await asyncio.to_thread(encode, prediction, columns, answer)
