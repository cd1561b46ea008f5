"""What a process frees goes back to the machine."""

from __future__ import annotations

import subprocess
import sys

from mlplatform.core.env import PROJECT_ROOT

_PIECES = """
from pathlib import Path
from mlplatform.core.process_memory import freed_memory_return

def resident() -> int:
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) // 1024

pieces = [b"x" * (100_000 + n) for n in range(1000)]
last = b"x" * 100_000  # above them all, so that nothing below goes back by itself
full = resident()
del pieces
before = resident()
freed_memory_return()
print(full, before, resident())
"""

_LARGE = """
from pathlib import Path
from mlplatform.core.process_memory import large_arrays_return
large_arrays_return()

def resident() -> int:
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) // 1024

for n in range(2, 31):  # the first that is freed would teach the C library to keep the next
    first = b"x" * (n * 2**20)
    del first
pieces = [b"x" * (2 * 2**20) for n in range(40)]
last = b"x" * (2 * 2**20)
full = resident()
del pieces
print(full, resident())
"""


def output(code: str) -> list[int]:
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    return [int(part) for part in result.stdout.split()]


def test_small_pieces_go_back_when_that_is_asked_for() -> None:
    full, before, after = output(_PIECES)
    assert after < full - 70
    assert after <= before


def test_large_arrays_go_back_when_they_are_freed() -> None:
    full, after = output(_LARGE)
    assert after < full - 70
