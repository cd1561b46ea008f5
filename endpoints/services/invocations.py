"""One prediction on behalf of a signed-in person, through the gateway's trusted socket as any client's would go."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import quote, urlencode

from django.utils.translation import gettext as _

from endpoints.selectors.endpoints import endpoint_get
from endpoints.unix_http import unix_call
from mlplatform.core.env import gateway_socket
from mlplatform.core.errors import ServiceUnavailable
from mlplatform.core.names import name_check
from mlplatform.core.people.access import Actor

TIMEOUT_S = 125.0
"""A model server may take 60 s to start and 60 s for the answer."""
BODY_MAX_BYTES = 6 * 1024 * 1024


@dataclass(frozen=True)
class InvokeResult:
    """What the gateway answered, errors of the model included. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    duration_ms: float


def endpoint_invoke(
    *,
    actor: Actor,
    name: str,
    body: bytes,
    content_type: str = "text/csv",
    accept: str = "application/json",
    variant: str | None = None,
) -> InvokeResult:
    """Sends `body` to the endpoint and returns whatever it answers.

    Raises:
        NotFound: no such endpoint in the actor's project.
        InvalidRequest: a variant that cannot be a name.
        ServiceUnavailable: the gateway does not run or gave no answer within 125 s.
    """
    endpoint = endpoint_get(actor=actor, name=name)
    if variant:
        name_check(variant, field="variant")
    project = actor.project.name
    target = f"/api/v1/projects/{quote(project)}/endpoints/{quote(endpoint.name)}/invocations"
    began = perf_counter()
    try:
        answer = unix_call(
            str(gateway_socket()),
            "POST",
            f"{target}?{urlencode({'variant': variant})}" if variant else target,
            body=body,
            headers={
                "Content-Type": _header(content_type),
                "Accept": _header(accept),
                "X-Mlplatform-Project": project,
            },
            timeout_s=TIMEOUT_S,
        )
    except TimeoutError:
        raise ServiceUnavailable(
            _("Endpoint “%(name)s” gave no answer within %(seconds)d s")
            % {"name": name, "seconds": TIMEOUT_S}
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ServiceUnavailable(
            _("The gateway cannot be reached: %(reason)s") % {"reason": reason}
        ) from error
    return InvokeResult(answer.status, answer.headers, answer.body, (perf_counter() - began) * 1000)


def _header(value: str) -> str:
    """A caller's header value without what would end it."""
    return value.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace").decode("latin-1")[:200]
