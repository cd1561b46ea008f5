"""The gateway's socket for runs of tables, evaluations and asynchronous requests. It trusts nobody: invocations only,
each with the token of a run, which names the one endpoint that it may invoke.

A run reads data of somebody's, and its process may be taken over; what it can do with this socket is then what its
token says, until it expires. Composed by `server.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import time

from endpoints.gateway.headers import request_id_of
from endpoints.gateway.invoke import Invoker, endpoint_not_found, invocation_of
from endpoints.run_token import run_token_check
from endpoints.serving.address import Address
from endpoints.serving.exchange import Exchange
from endpoints.serving.http1 import Limits
from mlplatform.core.errors import NotFound

BODIES_BYTES_MAX = 64 * 1024 * 1024
"""Of all runs together, so that one that was taken over leaves room for everybody else's requests."""
_N_CONNECTIONS = 256


@dataclass(frozen=True)
class RunsDoor:
    """Where runs knock, and the key with which their tokens must be signed."""

    address: Address
    key: bytes = field(repr=False)


class RunsApplication:
    """Answers invocations for who has a token for just that endpoint."""

    def __init__(self, invoke: Invoker, *, key: bytes) -> None:
        self._invoke = invoke
        self._key = key

    async def __call__(self, exchange: Exchange) -> None:
        found = invocation_of(exchange)
        if found is None:
            raise NotFound("only invocations are served on this socket")
        claim = run_token_check(exchange.header(b"authorization"), key=self._key, now=time())
        project, endpoint_name = found
        if (claim.project, claim.endpoint) != (project, endpoint_name):
            raise endpoint_not_found(project, endpoint_name)
        self._invoke.require_table()
        await self._invoke(
            exchange,
            project=project,
            endpoint_name=endpoint_name,
            request_id=request_id_of(exchange.headers),
            may_capture=claim.is_captured,
        )


def runs_limits(limits: Limits) -> Limits:
    """Runs are few; connections of one that was taken over take no files from others."""
    return replace(limits, n_connections=min(_N_CONNECTIONS, limits.n_connections))
