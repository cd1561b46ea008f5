"""Services that refuse, for tests of the start: an S3 store and an AMQP broker that say no, in a thread of the test."""

from __future__ import annotations

import http.server
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def s3_that_says(status: int, code: str = "") -> Iterator[str]:
    """The address of a store that gives this answer to everything."""
    refusal = (
        f"<Error><Code>{code}</Code><Message>no</Message></Error>"
        if code
        else "<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>"
    )
    body = f"<?xml version='1.0'?>{refusal}".encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.send_header("etag", '"0"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(5)


@contextmanager
def amqp_that_closes(reply: int, words: str, *, after_open: bool = False) -> Iterator[int]:
    """The port of a broker that closes the connection with this reply, at the log-in or at the virtual host."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_amqp, args=(listener, reply, words, after_open), daemon=True).start()
        yield listener.getsockname()[1]


def _amqp(listener: socket.socket, reply: int, words: str, after_open: bool) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(5)
            connection.recv(8)
            start = (
                struct.pack(">HHBB", 10, 10, 0, 9) + struct.pack(">I", 0) + _long(b"PLAIN") + _long(b"en_US")
            )
            connection.sendall(_frame(start))
            connection.recv(65536)
            if after_open:
                connection.sendall(_frame(struct.pack(">HHHIH", 10, 30, 0, 131072, 0)))
                connection.recv(65536)
            text = words.encode()
            close = struct.pack(">HHH", 10, 50, reply) + bytes([len(text)]) + text + struct.pack(">HH", 0, 0)
            connection.sendall(_frame(close))
            try:
                connection.recv(65536)
            except OSError:
                return


def _long(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def _frame(method: bytes) -> bytes:
    return struct.pack(">BHI", 1, 0, len(method)) + method + b"\xce"
