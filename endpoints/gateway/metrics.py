"""`GET /metrics` of the gateway: what it counted itself, and behind it what the web process tells of the platform.

Off without a token. What is the gateway's own is told on the event loop, a few variants at a time, so that no
invocation waits for a scrape; the platform's part, which needs the database, is computed and kept for some seconds by
the web process. Scrapes that come at once wait for one another.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from endpoints.gateway.balance import Balancer, LiveRoute, LiveVariant
from endpoints.gateway.exposition import (
    CONTENT_TYPE,
    VARIANTS_MAX,
    VariantFigures,
    VariantText,
    gauges_text,
    process_text,
)
from endpoints.gateway.tally import Tally
from endpoints.serving.address import Address
from endpoints.serving.client import Answer, CallFailed, connect
from endpoints.serving.exchange import Exchange
from mlplatform.core.errors import NotAuthenticated, NotFound

PATH = b"/metrics"
_AT_ONCE = 5
"""So many variants are written before others have their turn: less than half a millisecond."""
_WEB_WITHIN_S = 8.0
_WEB_BYTES_MAX = 64 * 1024 * 1024
_BEARER = b"Bearer "


class MetricsDoor:
    """Answers scrapes.

    Args:
        token: What who scrapes must send; empty: there is no such address.
        n_connections, body_bytes: What is in hand now.
    """

    def __init__(
        self,
        token: str,
        *,
        balancer: Balancer,
        tally: Tally,
        web: Address,
        n_connections: Callable[[], int],
        body_bytes: Callable[[], int],
    ) -> None:
        self._token_sha256 = hashlib.sha256(token.encode()).digest() if token else b""
        self._balancer = balancer
        self._tally = tally
        self._web = web
        self._n_connections = n_connections
        self._body_bytes = body_bytes
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="metrics")

    async def __call__(self, exchange: Exchange) -> None:
        """Raises NotFound where metrics are off, NotAuthenticated without the token."""
        if not self._token_sha256:
            raise NotFound("metrics are off; MLPLATFORM_METRICS_TOKEN switches them on")
        authorization = exchange.header(b"authorization") or b""
        self._authenticate(authorization)
        async with self._lock:
            platform = await self._ask_web(authorization)
            process = await asyncio.get_running_loop().run_in_executor(self._thread, process_text)
            mine = await self._mine(web_answers=platform is not None)
        headers = [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
        exchange.respond(200, headers, mine.encode() + process + (platform or b""))

    def close(self) -> None:
        self._thread.shutdown(wait=False)

    def _authenticate(self, authorization: bytes) -> None:
        given = hashlib.sha256(authorization.removeprefix(_BEARER)).digest()
        if not authorization.startswith(_BEARER) or not hmac.compare_digest(given, self._token_sha256):
            raise NotAuthenticated(
                "send the token of MLPLATFORM_METRICS_TOKEN as Authorization: Bearer <token>"
            )

    async def _mine(self, *, web_answers: bool) -> str:
        variants = [
            (project, route, variant)
            for project, route in self._balancer.routes()
            for variant in route.variants
        ]
        text, minutes = VariantText(), self._tally.minutes()
        for number, (project, route, variant) in enumerate(variants[:VARIANTS_MAX]):
            text.add(self._figures(project, route, variant, minutes))
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        n_left_out = max(0, len(variants) - VARIANTS_MAX)
        gauges = {
            "metrics_left_out_variants": (f"Variants without series, beyond {VARIANTS_MAX}", n_left_out),
            "gateway_connections": ("Requests of clients that are being answered", self._n_connections()),
            "gateway_body_bytes": ("Bytes of requests' bodies in hand", self._body_bytes()),
            "gateway_has_routing_table": ("Whether endpoints and keys are known", self._balancer.has_table),
            "web_up": ("Whether the web process answered this scrape", web_answers),
        }
        return text.text() + gauges_text(gauges)

    def _figures(
        self, project: str, route: LiveRoute, variant: LiveVariant, minutes: Collection[int]
    ) -> VariantFigures:
        return VariantFigures(
            project,
            route.endpoint_name,
            variant.name,
            self._tally.total(route.endpoint_id, variant.name, minutes),
            n_in_flight=sum(replica.n_outstanding for replica in variant.replicas),
            n_waiting=variant.elastic.n_waiting if variant.elastic is not None else 0,
            n_ready=len(variant.replicas),
        )

    async def _ask_web(self, authorization: bytes) -> bytes | None:
        """The platform's part; None while the web process does not answer."""
        try:
            answer = await asyncio.wait_for(self._web_answer(authorization), _WEB_WITHIN_S)
        except (CallFailed, TimeoutError):
            return None
        return answer.body if answer.status == 200 else None

    async def _web_answer(self, authorization: bytes) -> Answer:
        connection = await connect(self._web)
        try:
            connection.begin(
                b"GET %b HTTP/1.1\r\nhost: localhost\r\nauthorization: %b\r\nconnection: close\r\n\r\n"
                % (PATH, authorization)
            )
            return await connection.answer(limit_bytes=_WEB_BYTES_MAX)
        finally:
            connection.close()
