"""Whether a process of this machine is gone, told from what it once said of itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mlplatform.core.process_identity import process_identity, process_is_gone

PROGRAM = """
import sys, time
from mlplatform.core.process_identity import process_identity
print(process_identity(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as popen:
        yield popen
        popen.kill()


def test_a_living_process_is_not_gone(other: subprocess.Popen[str]) -> None:
    assert other.stdout is not None
    identity = other.stdout.readline().strip()
    assert identity.split(".")[1] == str(other.pid)
    assert not process_is_gone(identity)
    assert not process_is_gone(process_identity())


def test_a_killed_process_is_gone_before_and_after_it_was_collected(other: subprocess.Popen[str]) -> None:
    assert other.stdout is not None
    identity = other.stdout.readline().strip()
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert process_is_gone(identity)
    other.wait()
    assert process_is_gone(identity)


def test_another_process_with_the_same_number_does_not_stand_for_it() -> None:
    machine, pid, start = process_identity().split(".")
    assert process_is_gone(f"{machine}.{pid}.{int(start) - 1}")


@pytest.mark.parametrize(
    "identity", ["", "w1", "a.b.c", "0123456789abcdef.1.1", "0123456789abcdef.999999999.1"]
)
def test_of_other_machines_and_of_nonsense_nothing_is_known(identity: str) -> None:
    assert not process_is_gone(identity)
