"""The OpenAPI document is true: requests generated from it, right and wrong ones, are answered as it says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from rest_framework.test import APIClient
from schemathesis import Case
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.meta import TestPhase
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.schemas import APIOperation

from tests.api.conftest import BASE, Person
from tests.api.street import NAME
from tests.services import is_on

EXAMPLES = int(os.environ.get("MLPLATFORM_SCHEMA_EXAMPLES", "6"))
ACCEPTED = ["2xx", "401", "403", "404", "409"]
REFER_TO_OBJECTS = [
    "async_invocation_create",
    "transform_job_create",
    "comparison_get",
    "costs_get",
    "costs_together",
    "price_sheet_update",
    "dataset_update",
    "evaluation_create",
    "experiment_create",
    "evaluation_rows",
    "table_run_create",
    "source_create",
    "upload_create",
    "upload_append",
    "data_capture_update",
    "training_job_create",
    "tuning_job_create",
    "tuning_job_extend",
    "model_create",
    "endpoint_create",
    "endpoint_update",
    "member_set",
    "metric_definition_test",
]
"""Whose fields name other objects or hold expressions: no schema can say which there are, so a well-formed request may
be refused with 400. An `Idempotency-Key` that is generated twice may be refused with 422."""
MAY_REFUSE = {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "400", "422"]}}
START_A_PROCESS = ["dataset_create", "dataset_split", "dataset_version_create"]
"""Every accepted request reads a table in a process of its own, so that few of them have to do."""
SLOW = {"checks": MAY_REFUSE, "phases": {"coverage": {"generation": {"mode": "negative"}}}}
NO_GATEWAY = {
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "404", "503"]},
    "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
}
"""No gateway runs here, so that whatever is right is answered with 503; tests/journeys has one."""


@schemathesis.serializer("application/jsonlines", "application/offset+octet-stream")
def jsonlines(ctx: schemathesis.SerializationContext, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


config = SchemathesisConfig.from_dict(
    {
        "seed": 20260,
        "parameters": {"path.project": "alpha", "path.name": NAME},
        "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "422"]}},
        "operations": [
            {"include-operation-id": "endpoint_invoke", "checks": NO_GATEWAY},
            {"include-operation-id": "endpoint_neighbours", "checks": NO_GATEWAY},
            *({"include-operation-id": id, **SLOW} for id in START_A_PROCESS),
            *({"include-operation-id": id, "checks": MAY_REFUSE} for id in REFER_TO_OBJECTS),
        ],
        "generation": {"mode": "all", "max-examples": EXAMPLES, "database": "none"},
    }
)
document = schemathesis.openapi.from_wsgi(f"{BASE}/schema/", get_wsgi_application(), config=config).exclude(
    # Endless by nature; test_log_stream.py follows one.
    operation_id=["training_job_logs_stream", "transform_job_logs_stream"]
)


@pytest.fixture
def one_connection() -> Iterator[None]:
    """The test's transaction outlives the requests in it, as with Django's own test client."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)
def is_answered_as_documented(case: Case, token: str) -> None:
    if case.meta is not None and case.meta.generation.mode.is_positive:
        # A cursor comes from the page before; made-up ones are refused, see test_lists.
        case.query.pop("cursor", None)
    if is_on() and _is_listed_wrong_body(case):
        return  # a type, a length, a missing field: refused before any database is asked, so that once is enough
    case.call_and_validate(headers={"Authorization": f"Bearer {token}"})


def _is_listed_wrong_body(case: Case) -> bool:
    """One of the thousands of bodies that each break one rule of the document, at a right address; not a random one."""
    if case.meta is None or case.meta.phase.name != TestPhase.COVERAGE:
        return False
    wrong = {place for place, found in case.meta.components.items() if found.mode.is_negative}
    return wrong == {ParameterLocation.BODY}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # its client does not close what it was answered
@pytest.mark.parametrize(
    "operation",
    [found.ok() for found in document.get_all_operations()],
    ids=lambda operation: operation.label,
)
def test_every_operation_answers_as_documented(
    operation: APIOperation, alice_at_street: Person, one_connection: None
) -> None:
    """As `document.parametrize` would make it, but each with a name of its own, without which xdist runs only one of
    them; and requests are generated when the test runs, not in every test process when it looks for tests.
    """
    load_all_checks()
    test = build_operation_test(
        config=document.config,
        operation=operation,
        test_func=is_answered_as_documented,
        given_kwargs={},
        feedback=FeedbackSources(),  # nothing that depends on which modules are loaded
    )
    test(token=alice_at_street.token)


def test_the_document_is_openapi_3_1(db: None) -> None:
    answer = APIClient().get(f"{BASE}/schema/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/vnd.oai.openapi+json")
    assert answer.json()["openapi"] == "3.1.0"


def test_no_two_shapes_share_a_name_and_nothing_else_is_complained_of(capsys: Any) -> None:
    GENERATOR_STATS.reset()
    SchemaGenerator().get_schema(request=None, public=True)
    assert not GENERATOR_STATS, capsys.readouterr().err


def test_the_interactive_page_needs_nothing_from_elsewhere(db: None) -> None:
    answer = APIClient().get(f"{BASE}/docs/")
    html = answer.content.decode()
    assert answer.status_code == 200
    assert not re.search(r"(src|href)=\"(https?:)?//", html)
    assert "<style" not in html
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]


def operations(found: dict[str, Any]) -> Any:
    for path, methods in found["paths"].items():
        for method, described in methods.items():
            yield path, method, described


def test_every_operation_documents_its_errors(db: None) -> None:
    for path, method, described in operations(APIClient().get(f"{BASE}/schema/").json()):
        answered = set(described["responses"])
        assert answered & {"200", "201", "202", "204"}, f"{method} {path}"
        if described["security"] != [{}]:
            assert {"401", "403"} <= answered, f"{method} {path}"
        if "{" in path:
            assert "404" in answered, f"{method} {path}"
