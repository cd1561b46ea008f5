"""Request bodies lie in memory while small, and in the folder of uploads beyond that."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import RequestAborted

from mlplatform.core.request_bodies import SpoolingHandler


def received(*messages: dict[str, Any]) -> Any:
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    return asyncio.run(SpoolingHandler().read_body(receive))


def part(body: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_small_body_is_read_whole_without_a_file() -> None:
    with received(part(b"one ", True), part(b"two", False)) as body:
        assert body.read() == b"one two"
        assert body._file.__class__.__name__ == "BytesIO"


def test_a_large_body_is_spooled_in_the_folder_of_uploads(settings: Any, tmp_path: Path) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10
    with received(part(b"x" * 8, True), part(b"y" * 8, False)) as body:
        where = Path(f"/proc/self/fd/{body.fileno()}").readlink()
        assert str(where).startswith(str(tmp_path))
        assert body.read() == b"x" * 8 + b"y" * 8


def test_a_caller_who_leaves_in_the_middle_ends_the_request() -> None:
    with pytest.raises(RequestAborted):
        received(part(b"x", True), {"type": "http.disconnect"})
