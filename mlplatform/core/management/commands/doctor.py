"""`manage.py doctor`: what is wrong with this installation and how to mend it, without needing any process of it."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mlplatform.core.health.doctor import Level, doctor_examine
from mlplatform.core.health.doctor_text import doctor_json, doctor_text


class Command(BaseCommand):
    help = (
        "Looks at disk, broker, store, database, clock, processes, leases and settings, and says how to mend what is "
        "wrong. The exit code is 1 when something has failed, else 0."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="the report as JSON")
        parser.add_argument(
            "--deep", action="store_true", help="also reads the whole database file; takes minutes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        report = doctor_examine(deep=options["deep"])
        if options["json"]:
            self.stdout.write(json.dumps(doctor_json(report), ensure_ascii=False, indent=2))
        else:
            self.stdout.write(doctor_text(report, paint=self._paint))
        if report.level == Level.FAILED:
            raise SystemExit(1)

    def _paint(self, level: Level, word: str) -> str:
        styles = {
            Level.OK: self.style.SUCCESS,
            Level.WARNING: self.style.WARNING,
            Level.FAILED: self.style.ERROR,
        }
        return str(styles[level](word))
