"""Which way a gateway takes to a replica, and what is told of machines that nobody reaches. No process is started."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from endpoints.doctor import hosts_check
from endpoints.relay.place import relay_place
from endpoints.services import relay
from endpoints.services.relay import gateway_relays, host_places
from endpoints.serving.address import Address
from mlplatform.core import clock
from mlplatform.core.env import runtime_dir
from mlplatform.core.health.doctor import Level
from mlplatform.core.keeping import machine
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.nodes import BOOT, PLACE, node_beat
from mlplatform.core.startup.services_wait import EXIT_WRONG

pytestmark = pytest.mark.django_db
UID = "0123456789abcdefghijklmnop"
RELAY = {"relay": "tcp:10.0.0.7:9310"}
ELSEWHERE = {BOOT: "another boot", PLACE: "another place"}


def _node(kind: NodeKind, name: str, **info: Any) -> None:
    node = node_beat(kind=kind, name=name, started_at=clock.now(), queues=["cpu"])
    Node.objects.filter(pk=node.pk).update(info=node.info | info)


def _way(path: Path) -> Address | None:
    return host_places().way_to(host="h", uid=UID, address=f"unix:{path}")


@pytest.fixture
def here() -> Any:
    """A socket file of a replica, in our folder of sockets."""
    path = runtime_dir() / "replicas" / UID[:16] / "model.sock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        yield path
    path.unlink()


def test_the_socket_itself_on_one_machine_with_and_without_a_relay(here: Path) -> None:
    _node(NodeKind.HOST, "h")
    assert _way(here) == Address(path=str(here))
    _node(NodeKind.HOST, "h", **RELAY)
    assert _way(here) == Address(path=str(here))


def test_the_relay_of_another_machine_whatever_lies_at_that_path_here(here: Path) -> None:
    _node(NodeKind.HOST, "h", **ELSEWHERE, **RELAY)
    assert _way(here) == Address(host="10.0.0.7", port=9310, relay=f"replica/{UID}")


def test_the_relay_of_another_data_directory_of_this_machine() -> None:
    _node(NodeKind.HOST, "h", **RELAY)
    assert _way(Path("/elsewhere/run/replicas/x/model.sock")) == Address(
        host="10.0.0.7", port=9310, relay=f"replica/{UID}"
    )


def test_a_host_elsewhere_without_a_relay_is_not_reached(here: Path) -> None:
    _node(NodeKind.HOST, "h", **ELSEWHERE)
    assert _way(here) is None


def test_runs_go_to_gateways_of_other_machines_that_have_a_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPLATFORM_RELAY_ADDRESS", "tcp:10.0.0.9:9310")
    _node(NodeKind.GATEWAY, "ours", relay="tcp:10.0.0.9:9310")
    _node(NodeKind.GATEWAY, "theirs", **RELAY)
    _node(NodeKind.GATEWAY, "mute")
    assert gateway_relays() == [Address(host="10.0.0.7", port=9310)]


def test_where_a_relay_listens_and_what_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert relay_place() is None
    monkeypatch.setenv("MLPLATFORM_RELAY_ADDRESS", "tcp:0.0.0.0:9310")
    place = relay_place()
    assert place is not None
    assert (str(place.listens), str(place.reached)) == (
        "tcp:0.0.0.0:9310",
        f"tcp:{socket.gethostname()}:9310",
    )
    monkeypatch.setenv("MLPLATFORM_RELAY_ADVERTISE", "tcp:host-2:19310")
    place = relay_place()
    assert place is not None and str(place.reached) == "tcp:host-2:19310"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLPLATFORM_RELAY_ADDRESS", "10.0.0.5:9310"),
        ("MLPLATFORM_RELAY_ADDRESS", "tcp:10.0.0.5"),
        ("MLPLATFORM_RELAY_ADDRESS", "unix:/run/relay"),
        ("MLPLATFORM_RELAY_ADVERTISE", "tcp:0.0.0.0:9310"),
    ],
)
def test_an_address_that_is_none_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("MLPLATFORM_RELAY_ADDRESS", "tcp:10.0.0.5:9310")
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"{name}='{value}' is not accepted; use tcp:host:port"):
        relay_place()


@pytest.mark.parametrize("command", ["host", "gateway"])
def test_who_is_started_with_no_address_ends_as_with_any_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("MLPLATFORM_RELAY_ADDRESS", "10.0.0.5")
    with pytest.raises(
        CommandError, match=r"MLPLATFORM_RELAY_ADDRESS='10\.0\.0\.5' is not accepted"
    ) as caught:
        call_command(command)
    assert caught.value.returncode == EXIT_WRONG


def test_an_address_of_another_machine_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPLATFORM_RELAY_ADDRESS", "tcp:192.0.2.1:9310")
    with pytest.raises(ValueError, match=r"no address '192\.0\.2\.1'.*tcp:0\.0\.0\.0:9310"):
        relay.relay_place_checked()


def test_the_doctor_tells_who_is_not_reached_for_want_of_a_relay() -> None:
    _node(NodeKind.GATEWAY, "g")
    _node(NodeKind.HOST, "near")
    assert [finding.level for finding in hosts_check()] == [Level.OK]
    _node(NodeKind.HOST, "far", **ELSEWHERE)
    _node(NodeKind.WORKER, "w", **ELSEWHERE)
    said = [str(finding.summary) for finding in hosts_check() if finding.level == Level.FAILED]
    assert len(said) == 2
    assert "far has no relay" in said[0]
    assert "w takes reach no gateway" in said[1]


def test_leftovers_of_a_machine_are_its_own_unless_the_only_scheduler_is_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swept: list[str] = []
    monkeypatch.setattr(machine, "_SWEEPS", [lambda: swept.append("swept")])
    monkeypatch.setattr(machine, "REST_S", 0)

    def look() -> int:
        swept.clear()
        sweep = machine.MachineSweep()
        sweep()
        if sweep._thread is not None:
            sweep._thread.join()
        return len(swept)

    assert look() == 1
    _node(NodeKind.SCHEDULER, "here")
    assert look() == 0
    _node(NodeKind.SCHEDULER, "there", **ELSEWHERE)
    assert look() == 1
