"""Invocations through the gateway: who may, which variant, which answer, what is counted."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from endpoints.gateway.routing import Route, RouteVariant, RoutingTable
from endpoints.serving.address import Address
from endpoints.serving.exchange import Exchange
from tests.endpoints.gateway.stage import ALICE, BOB, CHARLIE, KEYS, PATH, Stage, invocation, key
from tests.endpoints.loop_thread import LoopThread, RawClient, poll


def one_variant(stage: Stage, **options: float) -> None:
    stage.route(RouteVariant("AllTraffic", 1.0, (stage.model_server("m", **options).address,)))


def error(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    status, headers, body = answer
    content = json.loads(body)
    assert headers["x-amzn-errortype"] == content["__type"] == content["code"]
    assert content["request_id"] == headers["x-request-id"]
    return status, content["message"]


def test_a_row_is_predicted_and_the_variant_named(stage: Stage) -> None:
    one_variant(stage)
    status, headers, body = stage.invoke(b"1,2")
    assert (status, json.loads(body)) == (200, {"predictions": [{"score": 21.0}]})
    assert headers["x-amzn-invoked-production-variant"] == "AllTraffic"
    assert headers["content-type"] == "application/json"
    assert len(headers["x-request-id"]) == 32


def test_a_large_answer_arrives_as_the_model_server_gave_it(stage: Stage) -> None:
    server = stage.model_server("m", weights=[1.5] * 50)
    stage.route(RouteVariant("A", 1.0, (server.address,)))
    rows = [[(row * 50 + column) % 997 / 7 for column in range(50)] for row in range(2000)]
    body = "\n".join(",".join(map(repr, row)) for row in rows).encode()
    head = f"Content-Type: text/csv\r\nAccept: application/json; verbose=true\r\nContent-Length: {len(body)}\r\n\r\n"
    with RawClient(server.address.path) as client:
        client.send(f"POST /invocations HTTP/1.1\r\nHost: m\r\n{head}".encode() + body)
        straight = client.answer()[2]
    assert len(straight) > 900_000
    status, headers, answer = stage.invoke(body, Accept="application/json; verbose=true")
    assert (status, headers["content-length"], answer == straight) == (200, str(len(straight)), True)


def test_an_answer_says_how_long_the_model_server_took(stage: Stage) -> None:
    one_variant(stage, pause_s=0.05)
    began = time.monotonic()
    told_ms = float(stage.invoke()[1]["x-mlplatform-model-ms"])
    assert 50 <= told_ms <= (time.monotonic() - began) * 1000


@pytest.mark.parametrize("token", [ALICE, BOB])
def test_editors_and_viewers_of_the_project_may_invoke(stage: Stage, token: str) -> None:
    one_variant(stage)
    assert stage.invoke(token=token)[0] == 200
    assert stage.invoke(token=token, path=PATH + "/")[0] == 200


def test_a_key_of_another_project_gets_the_same_404_as_for_an_endpoint_that_never_was(stage: Stage) -> None:
    one_variant(stage)
    foreign = error(stage.invoke(token=CHARLIE))
    never = error(stage.invoke(token=CHARLIE, path=PATH.replace("iris", "never")))
    assert foreign[0] == never[0] == 404
    assert foreign[1].replace("iris", "never") == never[1]
    missing = error(stage.invoke(path=PATH.replace("iris", "never")))
    assert missing == never


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer AKALICE.wrong",
        "Bearer AKNOBODY.alice-secret",
        "Bearer AKALICE",
        "Bearer .",
        "Bearer AKALICE.",
        "Basic QUtBTElDRTphbGljZS1zZWNyZXQ=",
        "Bearer",
        "AKALICE.alice-secret",
        "Bearer \xff.\xff",
    ],
)
def test_wrong_credentials_are_401(stage: Stage, authorization: str) -> None:
    one_variant(stage)
    answer = stage.invoke(token=None, Authorization=authorization)
    assert error(answer)[0] == 401
    assert answer[1]["www-authenticate"].startswith("Bearer")


def test_who_tries_one_key_after_another_does_not_reach_the_database_with_each(stage: Stage) -> None:
    one_variant(stage)
    before, began = stage.n_loads, time.monotonic()
    with ExitStack() as stack:
        clients = [stack.enter_context(stage.client()) for _ in range(100)]
        for number, client in enumerate(clients):
            client.send(invocation(token=f"AKALICE.guess-{number}"))
        assert {client.answer()[0] for client in clients} == {401}
    assert stage.n_loads - before <= 2 + (time.monotonic() - began) / 0.25


def test_no_credentials_are_401(stage: Stage) -> None:
    one_variant(stage)
    answer = stage.invoke(token=None)
    assert error(answer)[0] == 401
    assert "Bearer <key id>.<secret>" in error(answer)[1]


def test_an_expired_key_is_401(stage: Stage) -> None:
    late, early = (
        key(ALICE, "default", "editor", time.time() + 60),
        key(BOB, "default", "viewer", time.time() - 1),
    )
    stage.table = RoutingTable(0, (), dict([late, early]))
    one_variant(stage)
    assert stage.invoke(token=ALICE)[0] == 200
    assert stage.invoke(token=BOB)[0] == 401


def test_a_revoked_key_is_401_as_soon_as_the_reload_was_answered(stage: Stage) -> None:
    one_variant(stage)
    with stage.client() as client:
        client.send(invocation())
        assert client.answer()[0] == 200
        stage.table = RoutingTable("later", stage.table.routes, {})
        assert stage.reload() == 200
        client.send(invocation())
        assert client.answer()[0] == 401


def test_the_table_is_read_again_by_itself(loop_thread: LoopThread, socket_dir: Path) -> None:
    stage = Stage(loop_thread, socket_dir, reload_every_s=0.02)
    try:
        address = stage.model_server("m").address
        stage.table = RoutingTable(
            5, (Route("default", "iris", 7, "InService", (RouteVariant("A", 1, (address,)),)),), KEYS
        )
        poll(lambda: stage.invoke()[0] == 200)
    finally:
        stage.close()


def test_a_table_that_cannot_be_loaded_leaves_the_one_at_hand_in_use(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    one_variant(stage)
    stage.load_error = OSError("database away")
    assert stage.reload() == 503
    assert stage.invoke()[0] == 200
    assert "database away" in caplog.text
    stage.load_error = None
    assert stage.reload() == 200


def test_before_the_first_table_invocations_are_503(loop_thread: LoopThread, socket_dir: Path) -> None:
    stage = Stage(loop_thread, socket_dir, load_error=OSError("database away"))
    try:
        answer = stage.invoke()
        assert error(answer)[0] == 503
        assert "routing table" in error(answer)[1]
    finally:
        stage.close()


BAD_INPUT = [
    (b"1,2,3", {}, 400, "row 1: has 3 columns; the model expects 2"),
    (b"1,2\n1,nan", {}, 400, "row 2, column '1': nan is not finite"),
    (b"1,x", {}, 400, "row 1, column '1': 'x' is not a number"),
    (b"1,2", {"Content_Type": "text/plain"}, 415, "text/plain"),
    (b"1,2", {"Accept": "image/png"}, 406, "image/png"),
    (b"666,2", {}, 424, "the number of the beast"),
    (
        b"1,2",
        {"X_Amzn_SageMaker_Target_Variant": "nobody"},
        400,
        "'nobody' is not one of the endpoint's variants ('AllTraffic')",
    ),
]


@pytest.mark.parametrize(("body", "headers", "status", "words"), BAD_INPUT)
def test_what_is_wrong_is_said_in_the_services_form(
    stage: Stage, body: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    one_variant(stage)
    found, message = error(stage.invoke(body, **headers))
    assert found == status
    assert words in message


def test_a_body_of_six_mebibytes_passes_and_one_byte_more_does_not(stage: Stage) -> None:
    one_variant(stage)
    body = b"1.0,2\n" * (2**20)
    assert len(body) == 6 * 2**20
    assert stage.invoke(body)[0] == 200
    assert error(stage.invoke(body + b"\n")) == (
        413,
        "body: has 6,291,457 bytes; at most 6,291,456 bytes (6 MiB) are accepted",
    )


def test_a_body_over_the_limit_is_refused_before_it_is_read(stage: Stage) -> None:
    one_variant(stage)
    head = invocation(b"").replace(b"Content-Length: 0", b"Content-Length: 6291457")
    with stage.client() as client:
        client.send(head)
        assert client.answer()[0] == 413
    chunked = invocation(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    with stage.client() as client:
        client.send(chunked + b"600000\r\n" + b"1" * 0x600000 + b"\r\n1\r\n1\r\n")
        assert client.answer()[0] == 413


def test_attributes_and_inference_ids_pass_through(stage: Stage) -> None:
    one_variant(stage)
    sent = {
        "X_Amzn_SageMaker_Custom_Attributes": "trace=1",
        "X_Amzn_SageMaker_Inference_Id": "i-1",
        "X_Request_Id": "r-1",
    }
    headers = stage.invoke(**sent)[1]
    assert headers["x-amzn-sagemaker-custom-attributes"] == "trace=1"
    assert headers["x-amzn-sagemaker-inference-id"] == "i-1"
    assert headers["x-request-id"] == "r-1"


def test_a_request_id_that_could_do_harm_is_replaced(stage: Stage) -> None:
    one_variant(stage)
    assert len(stage.invoke(X_Request_Id="<script>")[1]["x-request-id"]) == 32


def two_variants(stage: Stage, weight_a: float, weight_b: float) -> None:
    a, b = stage.model_server("a", (1, 0)), stage.model_server("b", (0, 1))
    stage.route(RouteVariant("A", weight_a, (a.address,)), RouteVariant("B", weight_b, (b.address,)))


def invoked(answer: tuple[int, dict[str, str], bytes]) -> str:
    assert answer[0] == 200
    return answer[1]["x-amzn-invoked-production-variant"]


def test_variants_take_turns_exactly_by_weight(stage: Stage) -> None:
    two_variants(stage, 3, 1)
    assert "".join(invoked(stage.invoke()) for _ in range(8)) == "AABAAABA"


@pytest.mark.parametrize("how", ["query", "header"])
def test_a_variant_can_be_named_even_with_weight_zero(stage: Stage, how: str) -> None:
    two_variants(stage, 1, 0)
    if how == "query":
        answer = stage.invoke(path=PATH + "?variant=B")
    else:
        answer = stage.invoke(X_Amzn_SageMaker_Target_Variant="B")
    assert invoked(answer) == "B"
    assert json.loads(answer[2]) == {"predictions": [{"score": 2.0}]}
    assert {invoked(stage.invoke()) for _ in range(5)} == {"A"}


def test_an_endpoint_without_a_ready_replica_is_503_with_its_status(stage: Stage) -> None:
    stage.route(RouteVariant("A", 1.0), status="Creating")
    answer = stage.invoke()
    assert error(answer) == (503, "endpoint 'iris' is Creating: no replica of variant 'A' is ready")
    assert int(answer[1]["retry-after"]) >= 1


def test_a_variant_without_a_ready_replica_is_passed_over(stage: Stage) -> None:
    a = stage.model_server("a")
    stage.route(RouteVariant("A", 1.0, (a.address,)), RouteVariant("B", 9.0))
    assert {invoked(stage.invoke()) for _ in range(5)} == {"A"}
    assert stage.invoke(path=PATH + "?variant=B")[0] == 503


def test_replicas_that_cannot_be_reached_are_looked_up_again_before_giving_up(stage: Stage) -> None:
    """An update moves the endpoint to a new replica; the gateway has not heard of it yet."""
    new = stage.model_server("new")
    stage.route(RouteVariant("A", 1.0, (Address(path=str(stage.folder / "gone")),)))
    route = Route("default", "iris", 7, "InService", (RouteVariant("A", 1.0, (new.address,)),))
    stage.table = RoutingTable(99, (route,), KEYS)
    assert stage.invoke()[0] == 200


def test_a_full_endpoint_is_429_with_retry_after(loop_thread: LoopThread, socket_dir: Path) -> None:
    stage = Stage(loop_thread, socket_dir, n_outstanding_max=2)
    try:
        one_variant(stage, pause_s=0.3)
        clients = [stage.client() for _ in range(5)]
        for client in clients:
            client.send(invocation())
        answers = [client.answer() for client in clients]
        for client in clients:
            client.sock.close()
        statuses = Counter(answer[0] for answer in answers)
        assert statuses == {200: 2, 429: 3}
        refused = next(answer for answer in answers if answer[0] == 429)
        assert int(refused[1]["retry-after"]) >= 1
        assert "2 requests are in hand" in error(refused)[1]
    finally:
        stage.close()


def test_bodies_that_would_be_too_much_together_are_429_until_the_others_are_gone(
    loop_thread: LoopThread, socket_dir: Path
) -> None:
    stage = Stage(loop_thread, socket_dir, bodies_bytes_max=6 * 2**20)
    try:
        one_variant(stage)
        with stage.client() as slow:
            whole = invocation(b"1,2\n" * (5 * 2**18))
            slow.send(whole[:-1])
            poll(lambda: stage.gateway._invoke._bodies.held_bytes > 4 * 2**20)
            refused = stage.invoke(b"1,2\n" * 2**19)
            assert refused[0] == 429 and int(refused[1]["retry-after"]) >= 1
            assert "of 6,291,456 that they may together" in error(refused)[1]
            assert stage.invoke()[0] == 200, "what there is room for is answered"
        poll(lambda: stage.gateway._invoke._bodies.held_bytes == 0)
        assert stage.invoke(b"1,2\n" * 1000)[0] == 200
    finally:
        stage.close()


def test_a_model_server_that_takes_too_long_is_the_models_fault(
    loop_thread: LoopThread, socket_dir: Path
) -> None:
    stage = Stage(loop_thread, socket_dir, answer_within_s=0.1)
    try:
        one_variant(stage, pause_s=0.5)
        status, message = error(stage.invoke())
        assert (status, message) == (424, "the model server did not answer in time")
    finally:
        stage.close()


async def _teapot(exchange: Exchange) -> None:
    await exchange.body(limit_bytes=100)
    exchange.respond(418, [(b"content-type", b"text/plain")], b"short and stout")


def test_an_error_of_a_users_own_server_becomes_a_model_error(stage: Stage) -> None:
    address = Address(path=str(stage.folder / "teapot"))
    stage.serve(_teapot, address)
    stage.route(RouteVariant("A", 1.0, (address,)))
    status, _, body = stage.invoke()
    content = json.loads(body)
    assert (status, content["__type"]) == (424, "ModelError")
    assert (content["OriginalStatusCode"], content["OriginalMessage"]) == (418, "short and stout")


# ---- the trusted socket


def test_the_web_process_may_invoke_for_a_project_without_a_key(stage: Stage) -> None:
    one_variant(stage)
    with stage.trusted() as client:
        client.send(invocation(token=None, X_Mlplatform_Project="default"))
        assert client.answer()[0] == 200
        client.send(invocation(token=None, X_Mlplatform_Project="other"))
        assert client.answer()[0] == 404
        client.send(invocation(token=None))
        assert client.answer()[0] == 404
        client.send(b"GET /admin/ HTTP/1.1\r\nHost: g\r\n\r\n")
        assert client.answer()[0] == 404


def test_the_projects_header_is_worth_nothing_on_the_public_port(stage: Stage) -> None:
    one_variant(stage)
    assert stage.invoke(token=None, X_Mlplatform_Project="default")[0] == 401
    assert stage.invoke(token=CHARLIE, X_Mlplatform_Project="default")[0] == 404


def test_the_trusted_socket_is_for_its_owner_only(stage: Stage) -> None:
    assert (stage.folder / "gateway").stat().st_mode & 0o777 == 0o600


def test_the_gateway_tells_its_state_on_the_trusted_socket(stage: Stage) -> None:
    one_variant(stage)
    with stage.trusted() as client:
        client.send(b"GET /control/status HTTP/1.1\r\nHost: g\r\n\r\n")
        content = json.loads(client.answer()[2])
    assert content["version"] == 1
    assert content["replicas"] == [{"address": f"unix:{stage.folder}/m", "outstanding": 0, "resting": False}]


# ---- counts


def test_invocations_are_counted_by_outcome(stage: Stage) -> None:
    one_variant(stage)
    for body in (b"1,2", b"1,2", b"1,x", b"666,1", b"1,2,3"):
        stage.invoke(body)
    stage.invoke(token=None)
    poll(lambda: sum(counts.n_requests for counts in stage.flushed) == 5)
    total = Counter()
    for counts in stage.flushed:
        assert (counts.endpoint_id, counts.variant) == (7, "AllTraffic")
        assert abs(counts.minute - time.time() / 60) < 2
        total.update(
            ok=counts.n_requests - counts.n_4xx - counts.n_5xx - counts.n_model_errors,
            n_4xx=counts.n_4xx,
            n_model_errors=counts.n_model_errors,
            n_latency=counts.latency.n,
            n_overhead=counts.overhead.n,
        )
    assert total == {"ok": 2, "n_4xx": 2, "n_model_errors": 1, "n_latency": 5, "n_overhead": 5}


def test_counts_survive_a_flush_that_fails(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    one_variant(stage)
    stage.flush_error = OSError("disk full")
    for _ in range(3):
        stage.invoke()
    poll(lambda: "disk full" in caplog.text)
    assert "OSError: disk full" in caplog.text
    assert "Traceback" not in caplog.text
    assert stage.flushed == []
    stage.flush_error = None
    poll(lambda: sum(counts.n_requests for counts in stage.flushed) == 3)


def test_the_last_counts_are_written_at_the_end(loop_thread: LoopThread, socket_dir: Path) -> None:
    stage = Stage(loop_thread, socket_dir, flush_every_s=3600.0)
    one_variant(stage)
    stage.invoke()
    stage.close()
    assert sum(counts.n_requests for counts in stage.flushed) == 1


def test_a_client_that_goes_away_frees_its_place(stage: Stage) -> None:
    one_variant(stage, pause_s=0.2)
    with stage.client() as client:
        client.send(invocation())
        poll(lambda: _outstanding(stage) == 1)
    poll(lambda: _outstanding(stage) == 0)


def _outstanding(stage: Stage) -> int:
    async def count() -> int:
        return sum(replica.n_outstanding for replica in stage.gateway._balancer.replicas())

    return stage.loop_thread.call(count())
