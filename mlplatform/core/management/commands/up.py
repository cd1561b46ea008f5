"""`manage.py up`, for Django's list of commands; `manage.py` itself goes there without loading Django."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Starts the whole platform on this machine: private Redis, web, gateway, worker, host, scheduler."

    def run_from_argv(self, argv: list[str]) -> NoReturn:
        os.execv(sys.executable, [sys.executable, "-m", "mlplatform.core.startup.up", *argv[2:]])
