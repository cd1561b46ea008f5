"""The files that deploy the platform: what they name exists."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from typing import Any

import yaml
from django.core.management import get_commands, load_command_class

from tests.live import ROOT, deploy_environment

GUIDE = ROOT / "docs" / "deploy.md"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("mlplatform")}
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
KEYS = {
    *(
        "image",
        "build",
        "command",
        "entrypoint",
        "environment",
        "secrets",
        "depends_on",
        "restart",
        "volumes",
    ),
    *(
        "ports",
        "hostname",
        "healthcheck",
        "security_opt",
        "cap_drop",
        "shm_size",
        "stop_grace_period",
        "user",
    ),
    *("profiles", "deploy", "logging"),
}


def test_every_service_says_only_what_compose_knows() -> None:
    assert set(COMPOSE) - {key for key in COMPOSE if key.startswith("x-")} == {
        "services",
        "secrets",
        "volumes",
    }
    for name, service in SERVICES.items():
        assert not set(service) - KEYS, name
        assert service["restart"] in {"unless-stopped", "on-failure", "no"}, name


def test_every_process_is_there_with_a_command_that_exists() -> None:
    commands = {service["command"][0] for service in OURS.values()}
    assert commands == {"migrate", "first_run", "web", "gateway", "worker", "host", "scheduler"}
    assert not commands - set(get_commands())
    for service in OURS.values():
        name = service["command"][0]
        command = load_command_class(get_commands()[name], name)
        known = command.create_parser("manage.py", name).format_help()
        options = [word for word in service["command"] if word.startswith("--")]
        assert not [option for option in options if option not in known], service["command"]


def test_every_variable_of_ours_is_documented() -> None:
    documented = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name, service in OURS.items():
        for variable in service["environment"]:
            if not variable.startswith("AWS_"):
                assert f"`{variable.removesuffix('_FILE')}`" in documented, f"{name}: {variable}"


def test_secrets_volumes_and_dependencies_are_declared_and_used() -> None:
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])
    mounted = {
        volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])
    }
    assert mounted == set(COMPOSE["volumes"])
    for name, service in SERVICES.items():
        for variable, value in (service.get("environment") or {}).items():
            if variable.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in service["secrets"], f"{name}: {variable}"
        for other, how in service.get("depends_on", {}).items():
            healthy = how["condition"] == "service_healthy"
            assert (
                "healthcheck" in SERVICES[other]
                if healthy
                else SERVICES[other]["restart"] != "unless-stopped"
            )


def test_no_service_of_ours_is_root_or_has_a_capability_and_none_comes_from_a_named_registry() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.M) == ["mlplatform"]
    for name, service in OURS.items():
        assert "user" not in service and "privileged" not in service, name
        assert ("security_opt" in service) == (service.get("cap_drop") == ["ALL"]), name
    images = [service["image"] for service in SERVICES.values()] + re.findall(
        r"^FROM (\S+)", DOCKERFILE, re.M
    )
    for image in images:
        owner, tag = image.partition("/")[0] if "/" in image else "", image.rpartition(":")[2]
        assert "." not in owner and tag not in {image, "latest"}, image


def test_health_checks_ask_sockets_that_there_are() -> None:
    asked = [service["healthcheck"]["test"] for service in OURS.values() if "healthcheck" in service]
    assert sorted(each[-1] for each in asked) == ["gateway.sock", "web.sock"]
    done = subprocess.run(
        [sys.executable, *asked[0][2:]], cwd=ROOT, env=deploy_environment(), capture_output=True
    )
    assert done.returncode == 1, "nobody answers where nothing runs"


def test_the_image_has_what_the_processes_need() -> None:
    allowed = {line[1:].rstrip("/") for line in _lines(".dockerignore") if line.startswith("!")}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages | {"manage.py", "templates", "static", "requirements"} <= allowed
    assert all((ROOT / name).exists() for name in allowed)
    for name in re.findall(r"requirements/(\w+)\.txt", DOCKERFILE):
        assert (ROOT / "requirements" / f"{name}.txt").exists()
    frameworks = {
        service["build"]["args"]["FRAMEWORKS"] for service in OURS.values() if "args" in service["build"]
    }
    for name in {*frameworks, *re.findall(r"^ARG FRAMEWORKS=(\w+)$", DOCKERFILE, re.M)}:
        pinned = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        assert "--hash=sha256:" in pinned, name
    assert DOCKERFILE.count("--require-hashes") == 2


def _lines(name: str) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


def test_the_unit_starts_commands_with_the_settings_of_the_guide() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "docs" / "deploy" / "mlplatform@.service")
    service = unit["Service"]
    assert service["ExecStart"].endswith("manage.py %i $ARGS")
    assert service["RestartPreventExitStatus"] == "78"
    named = re.findall(r"mlplatform@(\w+)", GUIDE.read_text(encoding="utf-8"))
    assert {"web", "gateway", "scheduler", "worker", "host"} <= set(named)
