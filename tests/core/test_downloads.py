"""Downloads leave the server piece by piece, also from an asynchronous one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from mlplatform.core.downloads import DownloadResponse

PIECES = [b"one", b"two", b"three"]


def test_an_asynchronous_server_takes_one_piece_at_a_time() -> None:
    made: list[bytes] = []

    def pieces() -> Iterator[bytes]:
        for piece in PIECES:
            made.append(piece)
            yield piece

    async def serve() -> None:
        response = DownloadResponse(pieces(), filename="x.csv")
        n_sent = 0
        async for piece in response:
            assert piece == PIECES[n_sent]
            n_sent += 1
            assert len(made) == n_sent
        assert n_sent == 3

    asyncio.run(serve())


def test_a_synchronous_server_takes_them_too() -> None:
    assert b"".join(DownloadResponse(iter(PIECES), filename="x.csv")) == b"onetwothree"


def test_the_browser_saves_it_under_its_name_and_does_not_guess() -> None:
    response = DownloadResponse([], filename='花 "x".csv', size_bytes=0, content_type="text/csv")
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith("attachment;")
    assert disposition.isascii()
    assert "%E8%8A%B1" in disposition
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Length"] == "0"
