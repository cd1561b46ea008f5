"""What `manage.py up` refuses, and that a refusal says what to do and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlplatform.core.startup.data_folder import data_folder_lock, data_folder_prepare
from mlplatform.core.startup.options import Options, StartRefused, options_export, options_read
from mlplatform.core.startup.processes import machine_queues
from mlplatform.core.startup.redis import redis_is_private, redis_program
from tests.environment import clean_environment
from tests.live import ROOT
from tests.services import free_port


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """Exporting options changes the environment of the process."""
    kept = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(kept)


def up(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "up", *map(str, arguments)],
        cwd=ROOT,
        env={**clean_environment(), **env},
        capture_output=True,
        text=True,
        timeout=30,
    )


def prepared(folder: Path) -> Options:
    """A data directory as `up` makes it."""
    options = Options(data_dir=folder, host="127.0.0.1", port=free_port())
    options_export(options)
    data_folder_prepare(options)
    return options


def test_a_port_in_use_is_refused_with_its_holder_and_another_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = up("--data-dir", tmp_path / "data", "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use by process {os.getpid()}" in done.stderr
    assert f"--port {port + 1}" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "80 80"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    done = up("--data-dir", tmp_path, f"--port={port}")
    assert done.returncode == 1
    assert f"port '{port}' is not usable: a whole number from 1 to 65535" in done.stderr


def test_an_unknown_host_is_refused(tmp_path: Path) -> None:
    done = up("--data-dir", tmp_path, "--host", "no-such-host.invalid", "--port", str(free_port()))
    assert done.returncode == 1
    assert "host 'no-such-host.invalid' is not known" in done.stderr


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "below"):
        done = up("--data-dir", path, "--port", str(free_port()))
        assert done.returncode == 1
        assert f"the data directory {path} cannot be used" in done.stderr
        assert "MLPLATFORM_DATA_DIR" in done.stderr


def test_a_second_platform_on_the_same_data_directory_is_refused_with_the_address_of_the_first(
    tmp_path: Path,
) -> None:
    options = prepared(tmp_path / "data")
    with data_folder_lock(options):
        done = up(MLPLATFORM_DATA_DIR=str(options.data_dir), MLPLATFORM_PORT=str(free_port()))
    assert done.returncode == 1
    assert f"already runs on the data directory {options.data_dir}" in done.stderr
    assert options.url in done.stderr
    with data_folder_lock(options):
        pass  # free again


def test_the_data_directory_and_the_secret_key_are_for_their_owner_alone(tmp_path: Path) -> None:
    options = prepared(tmp_path / "data")
    key = options.data_dir / "secret_key"
    assert stat.S_IMODE(options.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    first = key.read_text()
    assert len(first) >= 50
    data_folder_prepare(options)
    assert key.read_text() == first


def test_a_long_data_directory_still_gives_sockets_that_can_be_bound(tmp_path: Path) -> None:
    from mlplatform.core.env import runtime_dir

    prepared(tmp_path / ("long" * 30))
    path = runtime_dir() / "replicas" / ("0" * 16) / "model.sock"
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    assert stat.S_IMODE(runtime_dir().stat().st_mode) == 0o700
    assert not runtime_dir().is_relative_to(tmp_path)
    shutil.rmtree(runtime_dir())


def test_the_arguments_win_over_the_environment(tmp_path: Path) -> None:
    os.environ.update(MLPLATFORM_DATA_DIR=str(tmp_path / "other"), MLPLATFORM_PORT="9001")
    options = options_read(["--data-dir", str(tmp_path), "--port", "9002"])
    assert (options.data_dir, options.port, options.host) == (tmp_path, 9002, "127.0.0.1")
    assert options_read([]).url == "http://127.0.0.1:9001"


def test_a_named_address_is_allowed_as_host_of_requests() -> None:
    os.environ["MLPLATFORM_ALLOWED_HOSTS"] = "ml.example"
    options_export(options_read(["--host", "192.0.2.7"]))
    assert os.environ["MLPLATFORM_ALLOWED_HOSTS"] == "ml.example,192.0.2.7"


def test_without_a_redis_program_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(StartRefused, match=r"make install.*CELERY_BROKER_URL"):
        redis_program()


def test_the_redis_program_comes_from_the_environment_and_runs() -> None:
    program = redis_program()
    assert program.is_relative_to(Path(sys.prefix))
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    assert "Redis server v=" in done.stdout


def test_a_configured_broker_takes_the_place_of_the_private_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    assert redis_is_private()
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://broker.example/0")
    assert not redis_is_private()


def test_it_does_not_start_for_a_parent_that_is_gone(tmp_path: Path) -> None:
    done = up("--data-dir", tmp_path / "data", MLPLATFORM_ENDS_WITH_PARENT="1")
    assert done.returncode == 1
    assert "is gone" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_machine_with_an_nvidia_driver_serves_the_queue_gpu_too(tmp_path: Path) -> None:
    device = tmp_path / "nvidia0"
    assert machine_queues([device]) == "cpu"
    device.touch()
    assert machine_queues([tmp_path / "none", device]) == "cpu,gpu"
    os.environ["MLPLATFORM_QUEUES"] = "cpu"
    assert machine_queues([device]) == "cpu"
