"""The processes below this one, while some of them are just ending."""

from __future__ import annotations

import contextlib

import psutil


def below_me(word: str) -> list[tuple[psutil.Process, list[str]]]:
    """Each living process that this one or its processes began, with its command line, where that has the word."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # said of zombies too
            command = process.cmdline()
            if word in command:
                found.append((process, command))
    return found
