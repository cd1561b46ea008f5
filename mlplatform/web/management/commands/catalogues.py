"""`manage.py catalogues`: collects all translatable texts, fills the English catalogue, compiles both.

For developers; needs GNU gettext. Texts that have no Japanese yet are printed, and the command then fails.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

LANGUAGES = ("en", "ja")
_LEFT_OUT = (".venv", "var", "tests", "staticfiles")


class Command(BaseCommand):
    help = "Brings the message catalogues up to date and compiles them (for developers; needs gettext)."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command(
            "makemessages",
            locale=list(LANGUAGES),
            no_location=True,
            no_obsolete=True,
            ignore_patterns=list(_LEFT_OUT),
            verbosity=0,
        )
        _tool("msgattrib", "--clear-fuzzy", "--empty", "--no-wrap", "-o", catalogue("en"), catalogue("en"))
        _tool("msgen", "--no-wrap", "-o", catalogue("en"), catalogue("en"))
        for language in LANGUAGES:
            _tool(
                "msgfmt", "--check-format", "-o", catalogue(language).with_suffix(".mo"), catalogue(language)
            )
        missing = _untranslated(catalogue("ja"))
        if missing:
            raise CommandError(f"without Japanese, or only guessed:\n{missing}")
        self.stdout.write("Both catalogues are complete and compiled.")


def catalogue(language: str) -> Path:
    """The file of a language's messages."""
    return Path(settings.LOCALE_PATHS[0]) / language / "LC_MESSAGES" / "django.po"


def _untranslated(path: Path) -> str:
    fuzzy = _tool("msgattrib", "--only-fuzzy", "--no-wrap", path)
    return (_tool("msgattrib", "--untranslated", "--no-wrap", path) + fuzzy).strip()


def _tool(*command: str | Path) -> str:
    try:
        done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise CommandError(f"{command[0]} is not installed; it comes with GNU gettext") from None
    except subprocess.CalledProcessError as error:
        raise CommandError(f"{command[0]}: {error.stderr}") from None
    return done.stdout
