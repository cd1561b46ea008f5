"""`manage.py access_key create|list|revoke`: access keys from the command line, for whoever has the machine."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlplatform.core import clock
from mlplatform.core.audit.record import OPERATOR
from mlplatform.core.errors import PlatformError
from mlplatform.core.management.tables import tables_check
from mlplatform.core.models import AccessKey, Project, Role
from mlplatform.core.people.access import Actor, access_key_create, access_key_list, access_key_revoke


class Command(BaseCommand):
    help = "Makes, lists and revokes access keys. A key's secret is printed once, by create."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make a key of a user in a project")
        create.add_argument("--user", required=True)
        create.add_argument("--description", default="")
        create.add_argument("--days", type=int, default=0, help="days until it expires (default: never)")
        listing = actions.add_parser("list", help="list the keys of a project")
        revoke = actions.add_parser("revoke", help="end a key at once")
        revoke.add_argument("key_id")
        for action in (create, listing, revoke):
            action.add_argument("--project", required=True)
            action.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        tables_check()
        project = Project.objects.filter(name=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']!r}")
        try:
            getattr(self, f"_{options['action']}")(project, options)
        except PlatformError as error:
            raise CommandError(error.message) from None

    def _create(self, project: Project, options: dict[str, Any]) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']!r}")
        expires_at = clock.now() + timedelta(days=options["days"]) if options["days"] > 0 else None
        key, secret = access_key_create(
            user=user,
            project=project,
            description=options["description"],
            expires_at=expires_at,
            actor=_operator(project),
        )
        token = f"{key.key_id}.{secret}"
        if options["json"]:
            self._print_json(_described(key) | {"secret": secret, "token": token})
            return
        self.stdout.write(f"{token}\n")
        self.stderr.write("This is shown once. Use it as: Authorization: Bearer <key id>.<secret>\n")

    def _list(self, project: Project, options: dict[str, Any]) -> None:
        keys = access_key_list(actor=_operator(project))
        if options["json"]:
            self._print_json([_described(key) for key in keys])
            return
        for key in keys:
            state = "revoked" if key.revoked_at else "active"
            self.stdout.write(f"{key.key_id}  {key.user.get_username()}  {state}  {key.description}")

    def _revoke(self, project: Project, options: dict[str, Any]) -> None:
        key = access_key_revoke(actor=_operator(project), key_id=options["key_id"])
        if options["json"]:
            self._print_json(_described(key))
            return
        self.stdout.write(f"{key.key_id} is revoked")

    def _print_json(self, content: Any) -> None:
        self.stdout.write(json.dumps(content, ensure_ascii=False))


def _operator(project: Project) -> Actor:
    """Whoever may run this command on the machine may do all that an administrator may; the user is nobody."""
    return Actor(user=User(username=OPERATOR), project=project, role=Role.ADMIN)


def _described(key: AccessKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "user": key.user.get_username(),
        "project": key.project.name,
        "description": key.description,
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
        "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
    }
