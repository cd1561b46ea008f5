"""How to call an endpoint from a shell or a program, ready to copy. The secret is always a variable."""

from __future__ import annotations

import shlex

from django.utils.translation import gettext as _

from endpoints.models import Endpoint
from endpoints.selectors.samples import endpoint_sample_row
from jobs.algorithms.registry import SCRIPT


def endpoint_snippets(*, endpoint: Endpoint, base_url: str) -> dict[str, str]:
    """Programs by language; each sends one real row as CSV and prints the answer.

    Args:
        base_url: Where users reach the platform, without a slash at the end.
    """
    row = endpoint_sample_row(endpoint=endpoint)
    path = f"/api/v1/projects/{endpoint.project.name}/endpoints/{endpoint.name}/invocations"
    url = base_url.rstrip("/") + path
    variants = (endpoint.live or endpoint.wanted).variants
    is_script = variants.filter(model__algorithm=SCRIPT).exists()
    return {
        "curl": _curl(url, row),
        "python": _python(url, row, is_json=not is_script),
        "boto3": _boto3(base_url, endpoint.name, row),
    }


def _curl(url: str, row: str) -> str:
    return "\n".join(
        [
            "# " + _("TOKEN is an access key: <key id>.<secret>"),
            f"curl {shlex.quote(url)} \\",
            '  -H "Authorization: Bearer $TOKEN" \\',
            "  -H 'Content-Type: text/csv' -H 'Accept: application/json' \\",
            f"  --data-binary {shlex.quote(row)}",
        ]
    )


def _python(url: str, row: str, *, is_json: bool) -> str:
    """A script may answer something else than JSON, whatever it was asked for."""
    printed = "json.load(response)" if is_json else "response.read().decode()"
    return f"""{"import json" if is_json else ""}
import os
import urllib.request

request = urllib.request.Request(
    {url!r},
    data={row!r}.encode(),
    headers={{
        "Authorization": "Bearer " + os.environ["TOKEN"],  # {_("an access key: <key id>.<secret>")}
        "Content-Type": "text/csv",
        "Accept": "application/json",
    }},
)
with urllib.request.urlopen(request, timeout=120) as response:
    print({printed})
""".lstrip()


def _boto3(base_url: str, name: str, row: str) -> str:
    return f"""import os

import boto3

runtime = boto3.client(
    "sagemaker-runtime",
    endpoint_url={base_url.rstrip("/")!r},
    region_name="us-east-1",
    aws_access_key_id=os.environ["ACCESS_KEY_ID"],
    aws_secret_access_key=os.environ["SECRET_ACCESS_KEY"],
)
response = runtime.invoke_endpoint(
    EndpointName={name!r},
    ContentType="text/csv",
    Accept="application/json",
    Body={row!r},
)
print(response["Body"].read().decode())
"""
