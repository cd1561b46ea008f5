"""Whether an endpoint is asynchronous, as it is asked for: where results go, and how many requests are in flight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from endpoints.models import Endpoint, EndpointConfig
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.models import Project
from mlplatform.core.names import uri_split
from mlplatform.core.text import text as _

CONCURRENT_DEFAULT: Final = 4
CONCURRENT_MAX: Final = 1000
TIMEOUT_DEFAULT_S: Final = 900
TIMEOUT_MAX_S: Final = 3600
_URI_MAX: Final = 800


@dataclass(frozen=True, kw_only=True)
class AsyncInferenceRequest:
    """Asynchronous inference as asked for.

    Args:
        output_uri, failure_uri: Folders of this project's bucket for results and failures; None for the platform's own,
            which go when the request does.
        max_concurrent_per_instance: Requests in flight for each instance of the endpoint.
    """

    output_uri: str | None = None
    failure_uri: str | None = None
    max_concurrent_per_instance: int = CONCURRENT_DEFAULT

    def to_json(self) -> dict[str, Any]:
        """As `EndpointConfig.async_inference` has it."""
        return {
            "output_uri": self.output_uri or "",
            "failure_uri": self.failure_uri or "",
            "max_concurrent_per_instance": self.max_concurrent_per_instance,
        }


def async_check(*, project: Project, request: AsyncInferenceRequest) -> None:
    """Raises InvalidRequest with everything that is wrong."""
    errors: list[FieldError] = []
    for name in ("output_uri", "failure_uri"):
        errors += _folder_errors(project, f"async_inference.{name}", getattr(request, name) or "")
    n = request.max_concurrent_per_instance
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= CONCURRENT_MAX:
        said = _(
            "{value} is not accepted; use whole numbers from 1 to {high}",
            value=str(n)[:40],
            high=f"{CONCURRENT_MAX:,}",
        )
        errors.append(FieldError("async_inference.max_concurrent_per_instance", said))
    if errors:
        raise InvalidRequest.for_fields(errors)


def async_request_of(config: EndpointConfig) -> AsyncInferenceRequest | None:
    """What would ask for the same; None for a configuration that answers at once."""
    kept = config.async_inference
    if kept is None:
        return None
    return AsyncInferenceRequest(
        output_uri=kept.get("output_uri") or None,
        failure_uri=kept.get("failure_uri") or None,
        max_concurrent_per_instance=int(kept.get("max_concurrent_per_instance") or CONCURRENT_DEFAULT),
    )


def is_async(endpoint: Endpoint) -> bool:
    """Whether the configuration that answers, or is to, takes requests as objects."""
    return (endpoint.live or endpoint.wanted).async_inference is not None


def _folder_errors(project: Project, field: str, uri: str) -> list[FieldError]:
    if not uri:
        return []
    try:
        bucket, _key = uri_split(uri, field=field)
    except InvalidRequest as error:
        return list(error.errors)
    if len(uri) > _URI_MAX:
        return [FieldError(field, _("has {n} characters; use at most {limit}", n=len(uri), limit=_URI_MAX))]
    if bucket != project.bucket:
        said = _(
            "bucket {bucket} is not this project's; use s3://{own}/…", bucket=repr(bucket), own=project.bucket
        )
        return [FieldError(field, said)]
    return []
