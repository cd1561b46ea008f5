"""Two connections made one: what comes in at either goes out at the other, no faster than that one takes it.

An end of either ends the other, once what was under way to it is written; where both can be half closed, only the half
that ended is closed. No bytes are looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

_BUFFER_BYTES = 256 * 1024


class SpliceEnd(asyncio.Protocol):
    """One of the two. `other` is set by `splice`.

    Args:
        on_lost: Called once, when this connection has ended.
    """

    def __init__(self, on_lost: Callable[[], None] | None = None) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: SpliceEnd | None = None
        self._on_lost = on_lost
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        if self.other is None:  # the first piece comes whatever `hold` said
            self._early.append(data)
            self.hold()
        elif self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """True where this side may still be written to."""
        there = self.other.transport if self.other is not None else None
        if there is None or self.transport is None:
            return False
        if there.can_write_eof() and self.transport.can_write_eof():
            there.write_eof()
            return True
        return False

    def pause_writing(self) -> None:
        """This one is slower: nothing more is read from the other."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        other, self.transport = self.other, None
        if other is not None:
            other.end()
        if self._on_lost is not None:
            self._on_lost()

    def hold(self) -> None:
        """Reads nothing before it is tied to another."""
        if self.transport is not None:
            self.transport.pause_reading()

    def flush(self) -> None:
        """Hands on what came before it was tied."""
        early, self._early = self._early, []
        for data in early:
            self.data_received(data)

    def end(self) -> None:
        """Ends it once what is under way is written."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


def splice(one: SpliceEnd, other: SpliceEnd) -> None:
    """Ties two connections that are both made."""
    one.other, other.other = other, one
    for end, there in ((one, other), (other, one)):
        if end.transport is None:  # it was lost meanwhile
            there.end()
        else:
            end.flush()
            end.transport.resume_reading()
