"""Settings from the environment, and the folders of the data directory.

Django-free: the supervisor, job processes and model servers read it too. Every variable may also be given as
`<NAME>_FILE`, the path of a file that holds the value (for secrets mounted as files).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]
_MAX_SOCKET_FOLDER_BYTES = 70
"""A unix socket's path may have 107 bytes; file names below the folder take up to 37 of them."""


def env_text(name: str, default: str = "") -> str:
    """The variable's value, or the content of the file that `<name>_FILE` names, or `default`."""
    file = os.environ.get(f"{name}_FILE")
    if file:
        return Path(file).read_text(encoding="utf-8").strip()
    return os.environ.get(name, default)


def env_int(name: str, default: int, *, least: int | None = None) -> int:
    """The variable as a whole number, 0 or at least `least`. Raises ValueError that names variable and value."""
    text = env_text(name)
    if not text:
        return default
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"{name}={text!r} is not a whole number") from None
    if least is not None and number != 0 and number < least:
        raise ValueError(f"{name}={text!r} is not accepted; use 0, or {least} or more")
    return number


def env_token(name: str, *, least: int = 16) -> str:
    """The variable as a secret that a header can carry, or nothing. Raises ValueError that does not show the value."""
    text = env_text(name)
    if text and (len(text) < least or not text.isascii() or not text.isprintable() or " " in text):
        raise ValueError(
            f"{name} is not accepted; use at least {least} letters, digits and signs without spaces"
        )
    return text


def env_flag(name: str, default: bool = False) -> bool:
    """The variable as on/off: 1, true, yes, on; anything else that is not empty is off."""
    text = env_text(name).strip().lower()
    return text in {"1", "true", "yes", "on"} if text else default


def env_list(name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The variable as a list separated by commas; empty items dropped."""
    text = env_text(name)
    return tuple(item.strip() for item in text.split(",") if item.strip()) if text else default


def env_networks(name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """The variable as networks such as `10.20.0.0/16`. Raises ValueError that names the variable and its value."""
    try:
        return tuple(ip_network(item) for item in env_list(name))
    except ValueError as error:
        raise ValueError(f"{name}={env_text(name)!r} is not a list of networks: {error}") from None


def data_dir() -> Path:
    """The one folder of everything the platform keeps on this machine (`MLPLATFORM_DATA_DIR`, default `./var`)."""
    return Path(env_text("MLPLATFORM_DATA_DIR") or PROJECT_ROOT / "var").expanduser().resolve()


def gateway_socket() -> Path:
    """The gateway's trusted socket, where it is bound: `gateway.sock` beside the other sockets is a link to it."""
    return (runtime_dir() / "gateway.sock").resolve()


def runs_socket() -> Path:
    """The gateway's socket for runs, which trusts nobody, where it is bound: `runs.sock` is a link to it."""
    return (runtime_dir() / "runs.sock").resolve()


def runtime_dir() -> Path:
    """The folder of unix sockets: `<data dir>/run`, or a short temporary folder where that path is too long."""
    folder = data_dir() / "run"
    if len(os.fsencode(folder)) <= _MAX_SOCKET_FOLDER_BYTES:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"mlplatform-{os.getuid()}-{digest}"
