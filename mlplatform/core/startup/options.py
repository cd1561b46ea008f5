"""What `manage.py up` was asked for, from its arguments and the environment. Django-free."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlplatform.core.env import data_dir, env_text

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = "8000"
_EVERY_ADDRESS = {"0.0.0.0", "::", ""}


class StartRefused(Exception):
    """The platform cannot start here; the message says why and what to do."""


@dataclass(frozen=True)
class Options:
    """Where the platform keeps its data and where it listens."""

    data_dir: Path
    host: str
    port: int

    @property
    def url(self) -> str:
        """The address that a person on this machine opens."""
        host = "127.0.0.1" if self.host in _EVERY_ADDRESS else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def is_open_to_others(self) -> bool:
        return not (self.host == "localhost" or self.host == "::1" or self.host.startswith("127."))


def options_read(arguments: Sequence[str]) -> Options:
    """Reads the arguments of `manage.py up`; what is not given comes from the environment.

    Raises:
        StartRefused: A value is not usable.
        SystemExit: `--help`, or an unknown argument.
    """
    parser = argparse.ArgumentParser(
        prog="manage.py up", description="Starts the whole platform on this machine; Ctrl-C ends it."
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", help="everything the platform keeps (MLPLATFORM_DATA_DIR; default ./var)"
    )
    parser.add_argument("--port", help=f"the one port (MLPLATFORM_PORT; default {DEFAULT_PORT})")
    parser.add_argument("--host", help=f"the address to listen on (MLPLATFORM_HOST; default {DEFAULT_HOST})")
    given = parser.parse_args(arguments)
    folder = Path(given.data_dir).expanduser().resolve() if given.data_dir else data_dir()
    return Options(
        data_dir=folder,
        host=given.host or env_text("MLPLATFORM_HOST", DEFAULT_HOST),
        port=_port(given.port or env_text("MLPLATFORM_PORT", DEFAULT_PORT)),
    )


def options_export(options: Options) -> None:
    """Puts the options into the environment, where Django's settings and all children read them."""
    os.environ.pop("MLPLATFORM_DATA_DIR_FILE", None)
    os.environ["MLPLATFORM_DATA_DIR"] = str(options.data_dir)
    os.environ["MLPLATFORM_HOST"] = options.host
    os.environ["MLPLATFORM_PORT"] = str(options.port)
    if options.is_open_to_others and options.host not in _EVERY_ADDRESS:
        names = [name for name in (env_text("MLPLATFORM_ALLOWED_HOSTS"), options.host) if name]
        os.environ["MLPLATFORM_ALLOWED_HOSTS"] = ",".join(names)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise StartRefused(
            f"port '{text}' is not usable: a whole number from 1 to 65535 is (--port, MLPLATFORM_PORT)"
        )
    return int(text)
