"""Settings that open a door: debug mode, an open port without TLS, any Host name, a secret that others may read."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.conf import settings

from mlplatform.core.env import data_dir, env_text
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.nodes import node_is_gone
from mlplatform.core.text import Text
from mlplatform.core.text import text as _

CHECK: Final = "settings"
KEY_SHORTEST: Final = 32


@doctor_check("settings", title=_("Settings"))
def settings_check() -> Iterator[Finding]:
    wrong = [*_debug(), *_hosts(), *_secret_key(), *_folder()]
    if not wrong:
        yield Finding(CHECK, Level.OK, _("Secrets are readable by this user alone; debug mode is off"))
    yield from wrong


@doctor_check("exposure", title=_("Network"), reads_database=True)
def exposure_check() -> Iterator[Finding]:
    """Where the gateways listen, as their heartbeats say."""
    gateways = [node for node in Node.objects.filter(kind=NodeKind.GATEWAY) if not node_is_gone(node)]
    addresses = sorted({str(node.info["host"]) for node in gateways if node.info.get("host")})
    opened = [address for address in addresses if not is_loopback(address)]
    public = str(settings.MLPLATFORM_PUBLIC_URL)
    if opened and not public.startswith("https://"):
        said = _(
            "The gateway listens on {addresses}, where passwords and keys travel unencrypted",
            addresses=", ".join(opened),
        )
        remedy = _(
            "Put a proxy with TLS in front, let the gateway listen on 127.0.0.1 (MLPLATFORM_HOST), and set "
            "MLPLATFORM_PUBLIC_URL to its https:// address."
        )
        yield Finding("exposure", Level.WARNING, said, remedy)
    elif addresses:
        told: Text = _("The gateway listens on {addresses}", addresses=", ".join(addresses))
        if public:
            told = _("{listens}; people come by {url}", listens=told, url=public)
        yield Finding("exposure", Level.OK, told)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address; a name other than localhost counts as open."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _debug() -> Iterator[Finding]:
    if settings.DEBUG:
        said = _("Debug mode is on: an error shows settings and source code to whoever causes it")
        yield Finding(
            CHECK,
            Level.FAILED,
            said,
            _("Remove MLPLATFORM_DEBUG from the environment and restart the platform."),
        )


def _hosts() -> Iterator[Finding]:
    if "*" in settings.ALLOWED_HOSTS:
        said = _("Any Host header is accepted: links in answers can be made to lead elsewhere")
        remedy = _("Name the hosts in MLPLATFORM_ALLOWED_HOSTS instead of `*`, and restart the platform.")
        yield Finding(CHECK, Level.WARNING, said, remedy)


def _secret_key() -> Iterator[Finding]:
    path = _secret_path()
    if path is None:
        return
    if not path.exists():
        said = _("There is no secret key {path}", path=str(path))
        remedy = _(
            "Restore it from the backup: access keys and sessions are good with that key only. `manage.py up` makes a "
            "new one."
        )
        yield Finding(CHECK, Level.FAILED, said, remedy)
        return
    if _others_may(path):
        said = _("Others on this machine may read the secret key {path}", path=str(path))
        remedy = _(
            "`chmod 600 {path}`, then make a new key if somebody may have read it: sessions and access keys end.",
            path=str(path),
        )
        yield Finding(CHECK, Level.FAILED, said, remedy)
    if path.stat().st_size < KEY_SHORTEST:
        said = _("The secret key in {path} has fewer than {n} characters", path=str(path), n=KEY_SHORTEST)
        yield Finding(
            CHECK, Level.FAILED, said, _("Remove the file and restart the platform: it makes a long one.")
        )


def _secret_path() -> Path | None:
    """The file of the secret; None where it comes as a variable, which only this user's processes can read."""
    named = os.environ.get("MLPLATFORM_SECRET_KEY_FILE")
    if named:
        return Path(named)
    return None if env_text("MLPLATFORM_SECRET_KEY") else data_dir() / "secret_key"


def _folder() -> Iterator[Finding]:
    folder = data_dir()
    if folder.is_dir() and _others_may(folder):
        said = _("Others on this machine may look into the data directory {path}", path=str(folder))
        yield Finding(CHECK, Level.WARNING, said, _("`chmod 700 {path}`", path=str(folder)))


def _others_may(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO))
