#!/usr/bin/env python
"""Django's command line: `manage.py up` starts the whole platform, `manage.py help` lists the rest."""

from __future__ import annotations

import os
import sys

_WITHOUT_FACES = ("doctor", "gateway", "host", "scheduler", "worker")
"""Commands of processes that answer no page: they load no admin, REST or pages."""


_OF_A_PLATFORM = ("access_key", "sign_in")
"""Commands that are of no use before a platform was started with the data directory."""


_WAITING = ("first_run", "gateway", "host", "migrate", "scheduler", "web", "worker")
"""Commands that wait for the database, broker and store of the settings, or say in a line what is wrong with one."""
_ASKING = ("access_key", "doctor", "objects", "orphans", "sign_in")
"""Commands that say so too, and do not wait."""


def main() -> None:
    if sys.argv[1:2] == ["up"]:  # starts everything else and needs no Django itself
        _sandbox_check()
        from mlplatform.core.startup.up import main as up

        raise SystemExit(up(sys.argv[2:]))
    if sys.argv[1:2] and sys.argv[1] in _OF_A_PLATFORM and not {"-h", "--help"} & set(sys.argv):
        from mlplatform.core.startup.started import started_check

        started_check()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlplatform.settings")
    if sys.argv[1:2] and sys.argv[1] in (*_WAITING, *_ASKING) and not {"-h", "--help"} & set(sys.argv):
        from mlplatform.core.startup.services_wait import services_wait

        services_wait(sys.argv[1])
    if sys.argv[1:2] and sys.argv[1] in _WITHOUT_FACES:
        os.environ.setdefault("MLPLATFORM_FACES", "off")
    if sys.argv[1:2] == ["doctor"]:
        os.environ.setdefault("MLPLATFORM_LOOKS_ONLY", "on")
    if sys.argv[1:2] and sys.argv[1] in (*_WAITING, *_ASKING):
        _settings_check()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


def _sandbox_check() -> None:
    """A sandbox that is asked for and cannot be had is told before anything starts."""
    if not os.environ.get("MLPLATFORM_SANDBOX") and not os.environ.get("MLPLATFORM_SANDBOX_FILE"):
        return
    from jobs.runner.isolation import SandboxUnavailable, isolation

    try:
        isolation()
    except SandboxUnavailable as error:
        raise SystemExit(f"mlplatform: {error}") from None


def _settings_check() -> None:
    """Settings that cannot be read are told in a line: the doctor is asked by those who have made a mistake."""
    from django.conf import settings

    try:
        assert settings.INSTALLED_APPS  # loads them
    except (OSError, ValueError) as error:
        print(f"mlplatform: the settings cannot be used: {error} (docs/settings.md)", file=sys.stderr)
        raise SystemExit(os.EX_CONFIG) from None


if __name__ == "__main__":
    main()
