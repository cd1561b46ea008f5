"""The processes of a platform that a benchmark has started, with their memory and processor time. No benchmark itself.

Memory is the proportional share (PSS): what processes share is counted once, divided among them. Linux only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

MB: Final = 1e6
_NAMES: Final = {
    "jobs.data": "inspection",
    "endpoints.serving": "model server",
    "jobs.runner": "job process",
    "jobs.tuning": "sampler",
}


@dataclass(frozen=True)
class Memory:
    """Of one process or several, in bytes.

    Args:
        pss: The share of everything.
        own: The same without files that are mapped, such as libraries.
        rss: All of it that is in memory, what is shared counted in full.
    """

    pss: int = 0
    own: int = 0
    rss: int = 0

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.pss + other.pss, self.own + other.own, self.rss + other.rss)


def platform_root() -> psutil.Process:
    """`manage.py up`, which this process has started. Raises RuntimeError: there is none."""
    for child in psutil.Process().children():
        if "up" in child.cmdline():
            return child
    raise RuntimeError("no platform was started by this process")


def platform_processes(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def memory_by_name(root: psutil.Process) -> Mapping[str, Memory]:
    """Of the processes of each name; one that ends meanwhile has none."""
    found: dict[str, Memory] = defaultdict(Memory)
    for process in platform_processes(root):
        with suppress(psutil.Error, OSError):
            found[process_name(process)] += memory_of(process.pid)
    return found


def memory_of(pid: int) -> Memory:
    """Raises OSError: it has ended."""
    kilobytes: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, number, *_unit = line.split()
        kilobytes[name.rstrip(":")] = int(number)
    own = kilobytes["Pss_Anon"] + kilobytes["Pss_Shmem"]
    return Memory(kilobytes["Pss"] * 1024, own * 1024, kilobytes["Rss"] * 1024)


def process_name(process: psutil.Process) -> str:
    """What it is to the platform."""
    words = process.cmdline()
    for module, name in _NAMES.items():
        if module in words:
            return name
    manage = next((place for place, word in enumerate(words) if word.endswith("manage.py")), None)
    if manage is not None:
        return words[manage + 1]
    return "redis" if "redis" in " ".join(words[:1]) else process.name()
