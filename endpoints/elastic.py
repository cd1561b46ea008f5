"""How large a serverless model server is, and how many of an elastic variant there are to be. Pure arithmetic.

An elastic variant has an idle time: without requests it has no process, and with many it has several. A serverless one
is elastic and has memory in the place of an instance type. Decision 10 says why the figures are these.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import ceil
from typing import Final

MEMORY_STEP_MB: Final = 1024
MEMORY_STEPS_MB: Final = tuple(range(1024, 6144 + 1, MEMORY_STEP_MB))
CONCURRENCY_MAX: Final = 200
IDLE_AFTER_S: Final = 300
IDLE_LEAST_S: Final = 5
IDLE_MOST_S: Final = 86_400
MEMORY_PER_VCPU_MB: Final = 1769
"""As AWS Lambda, on which the service's own serverless inference is modelled: a whole processor for so much memory."""
REQUESTS_PER_REPLICA: Final = 4
"""In hand for one replica; more than that call for another one."""
SERVERLESS_QUEUE: Final = "cpu"
"""Hosts of this queue run serverless model servers."""


PAUSE_MOST_S: Final = 40.0
"""No failed start is rested after for longer: what is further ahead was said before the clock was set back."""


@dataclass(frozen=True)
class Load:
    """What a gateway has of one variant.

    Attributes:
        n_wanted: Replicas that its requests call for.
        requested_at: When the last of them came or was in hand, in seconds since the epoch.
        waiting_since: Since when requests wait for a first replica; None when none does.
    """

    variant_id: int
    n_wanted: int
    requested_at: float
    waiting_since: float | None = None


def vcpus_of(memory_mb: int) -> int:
    """Processors, and so threads, of a serverless model server: at least one, at most those of this machine."""
    return max(1, min(memory_mb // MEMORY_PER_VCPU_MB, len(os.sched_getaffinity(0))))


def replicas_here_max(memory_mb: int) -> int:
    """How many replicas of one serverless variant this machine takes: by its memory, and two for a processor."""
    machine_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10 // 2**20
    n_processors = 2 * len(os.sched_getaffinity(0)) // vcpus_of(memory_mb)
    return max(1, min(machine_mb // memory_mb, n_processors))


def replicas_for(n_in_hand: int, *, most: int) -> int:
    """The replicas that so many requests at once call for: 1 to `most`."""
    return max(1, min(ceil(n_in_hand / REQUESTS_PER_REPLICA), most))


def rests_until(again_at: float, *, now: float) -> bool:
    """Whether a start that failed is not to be tried again yet; both in seconds since the epoch."""
    return now < again_at <= now + PAUSE_MOST_S
