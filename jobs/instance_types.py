"""The instance types: what a job or replica may use, what it costs and how many may run at once. Django-free.

A literal table with the service's names and its on-demand prices in us-east-1; `local.*` is the machine
itself. A type decides the queue, the threads and the memory limit of a process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mlplatform.core.errors import InvalidRequest
from mlplatform.core.text import text as _


@dataclass(frozen=True)
class InstanceType:
    """One type. `limit` is how many instances of it a project may use at once; prices are US dollars."""

    name: str
    queue: str
    vcpus: int
    memory_mb: int
    gpus: int
    price_per_hour: float
    limit: int

    @property
    def memory_limit_bytes(self) -> int:
        return self.memory_mb * 1024 * 1024


def cpus_here() -> int:
    """Processors this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0))


def _memory_here_mb() -> int:
    """Nine tenths of the machine's memory: the rest is left to the platform itself."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10 // (1024 * 1024)


_TYPES: Final = (
    InstanceType("local.cpu", "cpu", cpus_here(), _memory_here_mb(), 0, 0.0, 100),
    InstanceType("local.gpu", "gpu", cpus_here(), _memory_here_mb(), 1, 0.0, 10),
    InstanceType("ml.t3.medium", "cpu", 2, 4096, 0, 0.05, 20),
    InstanceType("ml.m5.large", "cpu", 2, 8192, 0, 0.115, 20),
    InstanceType("ml.m5.xlarge", "cpu", 4, 16384, 0, 0.23, 15),
    InstanceType("ml.m5.2xlarge", "cpu", 8, 32768, 0, 0.461, 10),
    InstanceType("ml.c5.large", "cpu", 2, 4096, 0, 0.102, 20),
    InstanceType("ml.c5.xlarge", "cpu", 4, 8192, 0, 0.204, 15),
    InstanceType("ml.c5.2xlarge", "cpu", 8, 16384, 0, 0.408, 10),
    InstanceType("ml.p2.xlarge", "gpu", 4, 62464, 1, 1.125, 4),
    InstanceType("ml.p3.2xlarge", "gpu", 8, 62464, 1, 3.825, 4),
    InstanceType("ml.g4dn.xlarge", "gpu", 4, 16384, 1, 0.736, 4),
    InstanceType("ml.g5.xlarge", "gpu", 4, 16384, 1, 1.408, 4),
)
_BY_NAME: Final = {instance_type.name: instance_type for instance_type in _TYPES}


def instance_type_get(name: str, *, field: str = "instance_type") -> InstanceType:
    """The type of that name. Raises InvalidRequest that lists the accepted names."""
    found = _BY_NAME.get(name)
    if found is None:
        accepted = ", ".join(_BY_NAME)
        raise InvalidRequest.for_field(
            field,
            _("{value} is not an instance type; use one of {values}", value=repr(name[:60]), values=accepted),
        )
    return found


def instance_type_list() -> tuple[InstanceType, ...]:
    return _TYPES


def instance_types_of(queues: Iterable[str]) -> list[str]:
    """The names of the types that need one of these queues."""
    served = frozenset(queues)
    return [instance_type.name for instance_type in _TYPES if instance_type.queue in served]


def instances_in_use(name: str, *, used: int, limit: int) -> str:
    """What somebody is told who may not have another one."""
    return _("{used} of {limit} instances of {type} are in use", used=used, limit=limit, type=name)


def queues_read(text: str) -> list[str]:
    """The queues named in `text`, separated by commas, each once.

    Raises:
        ValueError: none is named, or one that no type uses: nothing would ever come from it.
    """
    queues = list(dict.fromkeys(queue.strip() for queue in text.split(",") if queue.strip()))
    known = sorted({instance_type.queue for instance_type in _TYPES})
    if not queues or not set(queues) <= set(known):
        raise ValueError(f"--queues {text!r} is not accepted; use one or more of {', '.join(known)}")
    return queues
