"""`manage.py orphans`: objects of the store that nothing refers to, and rows whose object is missing."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mlplatform.core.amounts import size_text
from mlplatform.core.errors import PlatformError
from mlplatform.core.keeping.orphans import LISTED, OrphanReport, grace_s, orphans_bury, orphans_report

DEFAULT_GRACE_S = 24 * 3600


class Command(BaseCommand):
    help = (
        "Reports objects that no row refers to and rows whose object is missing; --delete removes the former."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--grace-s",
            type=float,
            default=None,
            help="only what is older than so many seconds (default: MLPLATFORM_ORPHAN_GRACE_S)",
        )
        parser.add_argument("--list", type=int, default=LISTED, help=f"how many to name (default: {LISTED})")
        parser.add_argument("--delete", action="store_true", help="removes the objects")
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        grace = options["grace_s"] if options["grace_s"] is not None else grace_s() or DEFAULT_GRACE_S
        if grace < 0 or options["list"] < 0:
            raise CommandError("--grace-s and --list: give 0 or more")
        try:
            report = orphans_report(grace_s=grace, n_listed=options["list"])
            n_buried = orphans_bury(grace_s=grace) if options["delete"] and report.n_orphans else 0
        except PlatformError as error:
            raise CommandError(error.message) from None
        if options["json"]:
            self.stdout.write(json.dumps(_json(report, n_buried), indent=2))
        else:
            self._tell(report, n_buried, delete=options["delete"])

    def _tell(self, report: OrphanReport, n_buried: int, *, delete: bool) -> None:
        oldest = f", the oldest of {report.oldest_at:%Y-%m-%d %H:%M} UTC" if report.oldest_at else ""
        self.stdout.write(
            f"{report.n_orphans:,} of {report.n_objects:,} objects are referred to by nothing: "
            f"{size_text(report.n_bytes)}{oldest}"
        )
        for orphan in report.orphans:
            at = datetime.fromtimestamp(orphan.changed_at, tz=UTC)
            self.stdout.write(f"  {orphan.uri}  {size_text(orphan.size_bytes)}  {at:%Y-%m-%d %H:%M}")
        self.stdout.write(f"{report.n_dangling:,} rows refer to an object that is not there")
        for missing in report.dangling:
            self.stdout.write(f"  {missing.title} {missing.row_id}: {missing.uri}")
        if delete:
            self.stdout.write(f"{n_buried:,} objects are removed")
        elif report.n_orphans:
            self.stdout.write("Nothing was removed; --delete does that")


def _json(report: OrphanReport, n_buried: int) -> dict[str, Any]:
    return report.to_json() | {
        "n_buried": n_buried,
        "orphans": [
            {"uri": each.uri, "size_bytes": each.size_bytes, "changed_at": _instant(each.changed_at)}
            for each in report.orphans
        ],
        "dangling": [
            {"what": str(each.title), "id": each.row_id, "uri": each.uri} for each in report.dangling
        ],
    }


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds")
