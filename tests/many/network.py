"""Machines with networks of their own on one computer: network namespaces behind a bridge, or loopback addresses.

Namespaces need root and iproute2. Without the right to make them each machine is an address of the loopback network:
then nothing can be unplugged, but a machine can be killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

PROGRAMS = ("ip", "nsenter", "setpriv")


@dataclass(frozen=True)
class Machine:
    """Where processes of a machine run: `argv` begins their command line."""

    name: str
    address: str
    argv: tuple[str, ...] = ()
    cable: str = ""

    def unplug(self) -> bool:
        """Takes its network away without a word to anybody; False where it has none of its own."""
        if self.cable:
            _ip("link", "set", self.cable, "down")
        return bool(self.cable)

    def plug_in(self) -> None:
        if self.cable:
            _ip("link", "set", self.cable, "up")


@dataclass(frozen=True)
class Network:
    """`shared` is where the services and the front of the platform are."""

    shared: Machine
    machines: tuple[Machine, ...]


@contextlib.contextmanager
def network_of(*names: str) -> Iterator[Network]:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing and os.environ.get("CI") == "true" and os.geteuid() == 0:
        pytest.fail(f"not on this machine: {', '.join(missing)}; with CI=true nothing may be skipped")
    number = os.getpid() % 250
    if missing or not _may_make_namespaces(f"mlp{number}-probe"):
        addresses = [f"127.77.{number}.{place + 1}" for place in range(len(names) + 1)]
        yield Network(
            Machine("shared", addresses[0]),
            tuple(Machine(name, address) for name, address in zip(names, addresses[1:], strict=True)),
        )
        return
    with contextlib.ExitStack() as made:
        yield _bridged(names, number, made)


def _bridged(names: Sequence[str], number: int, made: contextlib.ExitStack) -> Network:
    bridge = f"mlp{number}"
    _ip("link", "add", bridge, "type", "bridge")
    made.callback(_ip, "link", "del", bridge)
    _ip("addr", "add", f"10.251.{number}.1/24", "dev", bridge)
    _ip("link", "set", bridge, "up")
    machines = []
    for place, name in enumerate(names):
        space, cable = f"mlp{number}-{name}", f"mlp{number}{name}"
        address = f"10.251.{number}.{place + 2}"
        _ip("netns", "add", space)
        made.callback(_ip, "netns", "del", space)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", cable, "master", bridge, "up")
        _ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", space, "link", "set", device, "up")
        machines.append(Machine(name, address, ("nsenter", f"--net=/run/netns/{space}"), cable))
    return Network(Machine("shared", f"10.251.{number}.1"), tuple(machines))


def _may_make_namespaces(probe: str) -> bool:
    if os.geteuid() != 0 or subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode:
        return False
    _ip("netns", "del", probe)
    return True


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
