"""`manage.py sign_in list|unlock`: who is kept waiting after wrong passwords, and lifting it."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlplatform.core.management.tables import tables_check
from mlplatform.core.people.throttle import throttle_list, throttle_unlock


class Command(BaseCommand):
    help = "Lists sign-ins that are throttled after wrong passwords, and unlocks them by user or address."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="who is kept waiting now")
        unlock = actions.add_parser("unlock", help="forget the failures for a user or of an address")
        which = unlock.add_mutually_exclusive_group(required=True)
        which.add_argument("--user", default="")
        which.add_argument("--address", type=_address)

    def handle(self, *args: Any, **options: Any) -> None:
        tables_check()
        if options["action"] == "list":
            self._list()
            return
        n_counts = throttle_unlock(username=options["user"], address=options["address"] or "")
        if not n_counts:
            raise CommandError("Nothing is counted for that user or address")
        self.stdout.write(f"unlocked: {n_counts}")

    def _list(self) -> None:
        for row in throttle_list():
            until = f"{row.blocked_until:%Y-%m-%d %H:%M:%S} UTC"
            self.stdout.write(
                f"{row.address or '-'}  {row.username or '-'}  {row.n_failures} failures, until {until}"
            )


def _address(text: str) -> str:
    """An address, or a network as `list` shows it."""
    return str(ipaddress.ip_interface(text).ip)
