"""`manage.py objects --from URL --to URL`: copies what one object store has and another lacks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from obstore.exceptions import BaseError

from mlplatform.core.amounts import size_text
from mlplatform.core.errors import PlatformError
from mlplatform.core.startup.addresses import STORE, address_wrong
from mlplatform.core.storage.mirror import mirror
from mlplatform.core.storage.store import ObjectStore


class Command(BaseCommand):
    help = "Copies objects from one store to another; what is there already is left, nothing is deleted."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        what = "file:///folder or s3://bucket (default: OBJECT_STORE_URL)"
        parser.add_argument("--from", dest="source", default=settings.OBJECT_STORE_URL, help=what)
        parser.add_argument("--to", dest="target", default=settings.OBJECT_STORE_URL, help=what)

    def handle(self, *args: Any, **options: Any) -> None:
        source, target = options["source"], options["target"]
        for name, url in (("--from", source), ("--to", target)):
            wrong = address_wrong(STORE, url)
            if wrong:
                raise CommandError(f"{name} {url}: {wrong}")
        if source == target:
            raise CommandError("--from and --to are the same store")
        try:
            done = mirror(ObjectStore(source), ObjectStore(target))
        except PlatformError as error:
            raise CommandError(error.message) from None
        except (BaseError, OSError) as error:
            raise CommandError(f"a store cannot be used: {type(error).__name__}") from None
        copied = f"{done.n_copied:,} copied ({size_text(done.bytes_copied)})"
        self.stdout.write(f"{done.n_objects:,} objects, {copied}")
