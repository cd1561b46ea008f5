"""The socket of runs, which trusts nobody: one endpoint for who has its token, nothing for anybody."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from endpoints.gateway.routing import Route, RouteVariant, RoutingTable
from endpoints.gateway.runs import BODIES_BYTES_MAX, runs_limits
from endpoints.run_token import run_token_new
from endpoints.serving.address import Address
from endpoints.serving.exchange import Exchange
from endpoints.serving.http1 import Limits
from tests.endpoints.gateway.stage import ALICE, KEYS, PATH, RUNS_KEY, Stage, invocation
from tests.endpoints.loop_thread import LoopThread, poll

ROSES = PATH.replace("iris", "roses")
FOREIGN = PATH.replace("default", "other")


@pytest.fixture
def served(stage: Stage) -> Stage:
    """Two endpoints of one project, and one of the same name in another."""
    variants = (RouteVariant("AllTraffic", 1.0, (stage.model_server("m").address,)),)
    places = [("default", "iris", 7), ("default", "roses", 8), ("other", "iris", 9)]
    routes = tuple(Route(project, name, number, "InService", variants) for project, name, number in places)
    stage.table = RoutingTable(1, routes, KEYS)
    assert stage.reload() == 200
    return stage


def token(
    project: str = "default", endpoint: str = "iris", *, key: bytes = RUNS_KEY, valid_s: float = 60
) -> str:
    made = run_token_new(key=key, project=project, endpoint=endpoint, expires_at=time.time() + valid_s)
    return f"Run {made}"


def invoke(
    stage: Stage, authorization: str | None, path: str = PATH, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    given = headers if authorization is None else headers | {"Authorization": authorization}
    with stage.runs() as client:
        client.send(invocation(token=None, path=path, **given))
        return client.answer()


def message(answer: tuple[int, dict[str, str], bytes]) -> str:
    return str(json.loads(answer[2])["message"])


def test_a_run_invokes_its_endpoint_and_is_counted(served: Stage) -> None:
    answer = invoke(served, token())
    assert (answer[0], json.loads(answer[2])) == (200, {"predictions": [{"score": 21.0}]})
    assert invoke(served, token(), PATH + "?variant=AllTraffic")[0] == 200
    poll(lambda: sum(counts.n_requests for counts in served.flushed) == 2)
    assert {counts.endpoint_id for counts in served.flushed} == {7}


@pytest.mark.parametrize("path", [ROSES, FOREIGN], ids=["of its project", "of another project"])
def test_any_other_endpoint_is_as_if_it_never_was(served: Stage, path: str) -> None:
    never = PATH.replace("iris", "never")
    other, none = invoke(served, token(), path), invoke(served, token(), never)
    assert other[0] == none[0] == 404
    wanted = message(none).replace("never", "roses" if path == ROSES else "iris")
    assert message(other) == wanted.replace("default", "other" if path == FOREIGN else "default")
    assert invoke(served, token())[0] == 200
    poll(lambda: served.flushed)
    assert [(counts.endpoint_id, counts.n_requests) for counts in served.flushed] == [(7, 1)]


def test_an_endpoint_that_is_deleted_is_gone_for_its_run_too(served: Stage) -> None:
    served.table = RoutingTable(2, (), KEYS)
    served.reload()
    assert invoke(served, token())[0] == 404


@pytest.mark.parametrize(
    "authorization",
    [None, token(valid_s=-1), token(key=b"of somebody else"), f"Bearer {ALICE}", "Run x.y", token() + "0"],
    ids=["nothing", "an expired one", "another key's", "an access key", "nonsense", "a longer one"],
)
def test_without_a_token_that_holds_it_is_401(served: Stage, authorization: str | None) -> None:
    for path in (PATH, PATH.replace("iris", "never")):
        answer = invoke(served, authorization, path, X_Mlplatform_Project="default")
        assert (answer[0], json.loads(answer[2])["__type"]) == (401, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(
    "request_line",
    [
        "POST /control/reload",
        "GET /control/status",
        "GET /",
        f"GET {PATH}",
        "GET /api/v1/projects/",
        "POST /invocations",
    ],
)
def test_nothing_but_invocations_is_served(served: Stage, request_line: str) -> None:
    served.start_web()
    with served.runs() as client:
        head = f"{request_line} HTTP/1.1\r\nHost: g\r\nAuthorization: {token()}\r\nContent-Length: 0\r\n\r\n"
        client.send(head.encode())
        answer = client.answer()
    assert (answer[0], message(answer)) == (404, "only invocations are served on this socket")


def test_a_token_is_worth_nothing_at_the_other_doors(served: Stage) -> None:
    assert served.invoke(token=None, Authorization=token())[0] == 401
    with served.trusted() as client:
        client.send(invocation(token=None, Authorization=token()))
        assert client.answer()[0] == 404


def test_the_token_does_not_reach_the_model(served: Stage) -> None:
    seen: list[bytes] = []

    async def model(exchange: Exchange) -> None:
        seen.extend(name for name, _ in exchange.headers)
        exchange.respond(200, (), b"{}")

    place = Address(path=str(served.folder / "seen"))
    served.serve(model, place)
    served.route(RouteVariant("A", 1.0, (place,)))
    assert invoke(served, token())[0] == 200
    assert b"content-type" in seen and b"authorization" not in seen


def test_the_socket_is_for_its_owner_only(stage: Stage) -> None:
    assert (stage.folder / "runs").stat().st_mode & 0o777 == 0o600


def test_before_the_first_table_it_is_503(loop_thread: LoopThread, socket_dir: Path) -> None:
    stage = Stage(loop_thread, socket_dir, load_error=OSError("database away"))
    try:
        assert invoke(stage, token())[0] == 503
        assert invoke(stage, None)[0] == 401
    finally:
        stage.close()


def test_what_runs_hold_leaves_room_for_everybody_else(served: Stage) -> None:
    body = b"1,2\n" * (6 * 2**18)
    with ExitStack() as stack:
        held = 0
        while held + len(body) <= BODIES_BYTES_MAX:
            client = stack.enter_context(served.runs())
            client.send(invocation(body, token=None, Authorization=token())[:-1])
            held += len(body) - 1
        with served.runs() as client:
            client.send(invocation(body, token=None, Authorization=token()))
            assert client.answer()[0] == 429
        assert served.invoke(body)[0] == 200
    assert runs_limits(Limits(n_connections=8192)).n_connections == 256
    assert runs_limits(Limits(n_connections=100)).n_connections == 100
