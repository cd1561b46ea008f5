"""Everything that is not an invocation goes to the web process: as a stream, with clean headers."""

from __future__ import annotations

import hashlib
import json
import resource
from pathlib import Path
from time import monotonic

import pytest

from endpoints.gateway.headers import headers_for_web
from endpoints.serving.address import Address
from endpoints.serving.exchange import Exchange
from tests.endpoints.gateway.stage import PATH, Stage, invocation
from tests.endpoints.loop_thread import LoopThread, poll


@pytest.fixture
def webbed(stage: Stage) -> Stage:
    stage.start_web()
    return stage


def told(stage: Stage, request: bytes) -> dict[str, object]:
    with stage.client() as client:
        client.send(request)
        status, _, body = client.answer()
    assert status == 200
    content: dict[str, object] = json.loads(body)
    content["headers"] = dict(content["headers"])  # type: ignore[attr-defined]
    return content


def get(path: bytes = b"/jobs/?page=2", *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"GET %b HTTP/1.1\r\nHost: platform.example\r\n%b\r\n" % (path, lines)


def test_a_page_is_handed_on_and_the_connection_stays_open(webbed: Stage) -> None:
    with webbed.client() as client:
        for i in range(3):
            client.send(get(b"/page?i=%d" % i))
            status, headers, body = client.answer()
            assert (status, headers["x-web"]) == (200, "1")
            assert json.loads(body)["target"] == f"/page?i={i}"
            assert "connection" not in headers
            assert headers["x-request-id"]


def test_the_web_process_learns_who_asked_and_how(webbed: Stage) -> None:
    headers = told(webbed, get())["headers"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-host"] == headers["host"] == "platform.example"
    assert len(headers["x-request-id"]) == 32


def test_what_only_the_gateway_may_say_is_removed(webbed: Stage) -> None:
    forged = [
        b"X-Forwarded-For: 6.6.6.6",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: evil.example",
        b"X-Forwarded-User: admin",
        b"Forwarded: for=6.6.6.6",
        b"X-Real-IP: 6.6.6.6",
        b"X-Mlplatform-Project: other",
        b"X_Mlplatform_Project: other",
        b"X_Forwarded_For: 6.6.6.6",
        b"Proxy: http://evil.example",
        b"Connection: X-Dropped, keep-alive, Authorization",
        b"X-Dropped: 1",
        b"Keep-Alive: 5",
        b"TE: trailers",
        b"Authorization: Bearer a.b",
        b"Cookie: sessionid=1",
    ]
    headers = told(webbed, get(b"/", *forged))["headers"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["authorization"] == "Bearer a.b"
    assert headers["cookie"] == "sessionid=1"
    expected = {"host", "authorization", "cookie", "connection", "x-request-id"}
    expected |= {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
    assert set(headers) == expected
    assert "evil" not in json.dumps(headers)


def test_a_trusted_proxy_in_front_is_believed(loop_thread: LoopThread, socket_dir: Path) -> None:
    stage = Stage(loop_thread, socket_dir, trusted_proxies=frozenset(["127.0.0.1"]))
    try:
        stage.start_web()
        headers = told(stage, get(b"/", b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-Proto: https"))["headers"]
        assert headers["x-forwarded-for"] == "6.6.6.6"
        assert headers["x-forwarded-proto"] == "https"
    finally:
        stage.close()


@pytest.mark.parametrize(
    ("sent", "client"),
    [
        ([b"6.6.6.6, 9.9.9.9"], "9.9.9.9"),
        ([b"6.6.6.6", b"9.9.9.9"], "9.9.9.9"),
        ([b"6.6.6.6, 9.9.9.9, 10.0.0.1"], "9.9.9.9"),
        ([b"6.6.6.6, 9.9.9.9:4711"], "9.9.9.9"),
        ([b"[2001:db8::7]:443"], "2001:db8::7"),
        ([b"6.6.6.6, unknown"], "127.0.0.1"),
        ([b"6.6.6.6, "], "127.0.0.1"),
        ([b"10.0.0.1, 127.0.0.1"], "10.0.0.1"),
    ],
)
def test_what_a_client_wrote_before_a_trusted_proxy_is_not_believed(sent: list[bytes], client: str) -> None:
    headers = [(b"x-forwarded-for", value) for value in sent]
    trusted = frozenset(["127.0.0.1", "10.0.0.1"])
    told_web = headers_for_web(headers, peer="127.0.0.1", request_id=b"1", trusted_proxies=trusted)
    assert [value for name, value in told_web if name == b"x-forwarded-for"] == [client.encode()]
    told_by_a_stranger = headers_for_web(headers, peer="8.8.8.8", request_id=b"1", trusted_proxies=trusted)
    assert (b"x-forwarded-for", b"8.8.8.8") in told_by_a_stranger


def test_an_invocation_with_a_browsers_cookie_goes_to_the_web_process(webbed: Stage) -> None:
    content = told(webbed, invocation(token=None, Cookie="sessionid=1"))
    assert (content["target"], content["body"]) == (PATH, "1,2")


@pytest.mark.parametrize("path", [PATH.replace("default", "%64efault"), PATH + "/x", "/" + PATH, PATH + "//"])
def test_a_path_that_is_not_plainly_an_invocation_goes_to_the_web_process(webbed: Stage, path: str) -> None:
    assert told(webbed, invocation(path=path))["target"] == path


def test_another_method_on_the_invocations_path_goes_to_the_web_process(webbed: Stage) -> None:
    assert told(webbed, get(PATH.encode()))["method"] == "GET"


@pytest.mark.parametrize("method", [b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"POST"])
def test_every_method_is_handed_on_with_its_body(webbed: Stage, method: bytes) -> None:
    request = method + b" /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    content = told(webbed, request)
    assert (content["method"], content["body"]) == (method.decode(), "abc")
    assert told(webbed, method + b" /x HTTP/1.1\r\nHost: a\r\n\r\n")["body"] == ""


def test_a_head_request_is_answered_without_a_body(webbed: Stage) -> None:
    with webbed.client() as client:
        client.send(get().replace(b"GET", b"HEAD"))
        status, headers, _ = client.answer(no_body=True)
        assert status == 200
        assert int(headers["content-length"]) > 0
        client.send(get())
        assert client.answer()[0] == 200


def test_a_chunked_upload_arrives_as_it_was_sent(webbed: Stage) -> None:
    request = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    request += b"3;e=1\r\nabc\r\n1\r\nd\r\n0\r\nT: 1\r\n\r\n"
    content = told(webbed, request)
    assert content["body"] == "abcd"
    assert content["headers"]["transfer-encoding"] == "chunked"  # type: ignore[index]


def test_an_upload_of_hundreds_of_megabytes_needs_little_memory(webbed: Stage) -> None:
    n_bytes, piece = 400 * 2**20, b"z" * 2**20
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with webbed.client() as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % n_bytes)
        digest = hashlib.sha256()
        for _ in range(n_bytes // len(piece)):
            client.send(piece)
            digest.update(piece)
        status, _, body = client.answer()
    assert (status, body.decode()) == (201, digest.hexdigest())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 64 * 1024


def test_a_download_waits_for_a_client_that_does_not_read(webbed: Stage) -> None:
    with webbed.client() as client:
        client.send(get(b"/big"))
        seen: list[int] = []
        poll(lambda: seen.append(webbed.web.n_downloaded) or (len(seen) > 50 and seen[-1] == seen[-50] > 0))
        assert seen[-1] < 16 * 2**20
        status, _, body = client.answer()
    assert (status, len(body)) == (200, 50 * 2**20)


def test_server_sent_events_arrive_one_by_one(webbed: Stage) -> None:
    with webbed.client() as client:
        client.send(get(b"/sse"))
        head = client._until(b"\r\n\r\n")
        assert b"text/event-stream" in head
        assert client.chunk() == b"data: 1\n\n"
        webbed.loop_thread.loop.call_soon_threadsafe(webbed.web.release.set)
        assert client.chunk() == b"data: 2\n\n"
        assert client.chunk() == b""


def test_server_sent_events_end_when_the_gateway_does(loop_thread: LoopThread, socket_dir: Path) -> None:
    stage = Stage(loop_thread, socket_dir, grace_s=30.0)
    stage.start_web()
    with stage.client() as client:
        client.send(get(b"/sse"))
        client._until(b"data: 1\n\n\r\n")
        began_at = monotonic()
        stage.close()
        assert monotonic() - began_at < 5
        assert client.chunk() == b""


def test_a_client_that_goes_away_ends_the_request_in_the_web_process(webbed: Stage) -> None:
    with webbed.client() as client:
        client.send(get(b"/sse"))
        client._until(b"data: 1")
    poll(lambda: webbed.web.events == ["cancelled"])


def test_an_upload_that_breaks_off_ends_the_request_in_the_web_process(webbed: Stage) -> None:
    with webbed.client() as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        poll(lambda: webbed.web.n_uploaded == 3)
    poll(lambda: webbed.web.events == ["cancelled"])


def test_a_refusal_before_the_upload_ended_reaches_the_client(webbed: Stage) -> None:
    with webbed.client() as client:
        client.send(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nabc")
        status, headers, body = client.answer()
        assert (status, headers["connection"], body) == (403, "close", b"no uploads today")


def test_a_malformed_upload_is_refused_and_never_completed(webbed: Stage) -> None:
    with webbed.client() as client:
        client.send(
            b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\n"
        )
        status, headers, _ = client.answer()
        assert (status, headers["connection"]) == (400, "close")


SMUGGLED = (
    b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
)


def test_a_smuggled_request_reaches_nobody(webbed: Stage) -> None:
    with webbed.client() as client:
        client.send(SMUGGLED)
        assert client.answer()[0] == 400
        assert client.is_closed()


# ---- while the web process is away


def test_a_browser_sees_a_page_that_tries_again_while_the_web_process_starts(stage: Stage) -> None:
    with stage.client() as client:
        client.send(get(b"/", b"Accept: text/html,*/*;q=0.8"))
        status, headers, body = client.answer()
        assert (status, headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert b"The platform is starting" in body
        assert b'http-equiv="refresh"' in body
        assert headers["x-request-id"].encode() in body
        assert int(headers["retry-after"]) >= 1
        client.send(get(b"/", b"Accept: text/html", b"Accept-Language: ja,en;q=0.5"))
        assert "起動しています" in client.answer()[2].decode()
        stage.start_web()
        client.send(get())
        assert client.answer()[0] == 200


def test_a_rest_client_gets_json_while_the_web_process_starts(stage: Stage) -> None:
    with stage.client() as client:
        client.send(get(b"/api/v1/health", b"Accept: application/json"))
        status, headers, body = client.answer()
    assert (status, json.loads(body)["code"]) == (503, "ServiceUnavailable")
    assert int(headers["retry-after"]) >= 1


async def _dies(exchange: Exchange) -> None:
    exchange._carrier.abort()  # type: ignore[attr-defined]


async def _dies_midway(exchange: Exchange) -> None:
    exchange.start(200, [], length=100)
    await exchange.send(b"half")


def test_a_web_process_that_dies_before_it_answered_is_502(stage: Stage) -> None:
    stage.serve(_dies, stage.web_address)
    with stage.client() as client:
        client.send(get(b"/", b"Accept: text/html"))
        status, _, body = client.answer()
        assert status == 502
        assert b"The answer was cut short" in body
        client.send(get())
        assert client.answer()[0] == 502


def test_an_answer_cut_short_by_the_web_process_is_cut_short_for_the_client(stage: Stage) -> None:
    stage.serve(_dies_midway, stage.web_address)
    with stage.client() as client:
        client.send(get())
        with pytest.raises(ConnectionError):
            client.answer()


def test_a_socket_in_the_way_of_the_public_port_is_an_error(stage: Stage, loop_thread: LoopThread) -> None:
    with pytest.raises(OSError, match=r"[Aa]ddress already in use|in use"):
        stage.serve(_dies, Address(host="127.0.0.1", port=stage.public.port))
