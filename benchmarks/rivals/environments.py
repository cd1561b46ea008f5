"""Environments of other model servers, apart from the platform's: `var/cache/rivals/<name>`, pinned and hash-checked.

Called by `benchmarks.rivals.servers`. `scripts/lock.sh` recompiles what they hold.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from mlplatform.core.env import PROJECT_ROOT

_REQUIREMENTS: Final = Path(__file__).parent
_ENVIRONMENTS: Final = PROJECT_ROOT / "var" / "cache" / "rivals"
_STAMP: Final = "installed.txt"


class RivalMissing(RuntimeError):
    """A model server to compare with cannot be installed here."""


def environment_ensure(name: str) -> Path:
    """The folder of the environment of `<name>.txt`, made unless it holds just that already.

    Raises:
        RivalMissing: That is not possible here, with the installer's own words.
    """
    requirements = _REQUIREMENTS / f"{name}.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = _ENVIRONMENTS / name
    stamp = folder / _STAMP
    if stamp.is_file() and stamp.read_text() == wanted:
        return folder
    print(f"installing {name} into {folder.relative_to(PROJECT_ROOT)} (once)", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv = _run(name, sys.executable, "-I", PROJECT_ROOT / "scripts" / "install.py", "uv").strip()
    _run(name, uv, "venv", "--quiet", "--no-project", "--python", sys.executable, folder)
    pinned = [
        "--quiet",
        "--require-hashes",
        "--no-build",
        "--compile-bytecode",
        "--python",
        folder / "bin" / "python",
    ]
    _run(name, uv, "pip", "sync", *pinned, requirements)
    stamp.write_text(wanted)
    return folder


def _run(name: str, *command: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=PROJECT_ROOT)
    if done.returncode:
        raise RivalMissing(f"{name} cannot be installed: {done.stderr.strip()[-1000:]}")
    return done.stdout
