"""Both message catalogues are complete: every text of the code is in them, translated and compiled."""

from __future__ import annotations

import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.conf import settings

LANGUAGES = ("en", "ja")
SOURCES = ("mlplatform", "jobs", "endpoints", "monitoring", "templates")
_FIELD = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d\])?) (".*")')
_PLACEHOLDER = re.compile(r"%\(\w+\)[srd]|\{\w+\}")


@dataclass
class Message:
    comments: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        context = self.fields.get("msgctxt")
        return self.fields.get("msgid", "") if context is None else f"{context}\x04{self.fields['msgid']}"

    @property
    def translations(self) -> list[str]:
        return [text for name, text in self.fields.items() if name.startswith("msgstr")]


def po_path(language: str) -> Path:
    return Path(settings.LOCALE_PATHS[0]) / language / "LC_MESSAGES" / "django.po"


def messages_of(path: Path) -> list[Message]:
    """The messages of a catalogue, without its header."""
    found = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        message, last = Message(), ""
        for line in block.splitlines():
            if line.startswith("#"):
                message.comments += line
            elif match := _FIELD.fullmatch(line):
                last = match[1]
                message.fields[last] = ast.literal_eval(match[2])
            elif line.startswith('"'):
                message.fields[last] += ast.literal_eval(line)
        if message.key:
            found.append(message)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated_and_none_is_only_guessed(language: str) -> None:
    messages = messages_of(po_path(language))
    assert len(messages) > 700
    assert [message.key for message in messages if "" in message.translations] == []
    assert [message.key for message in messages if "fuzzy" in message.comments] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_translation_fills_in_what_the_message_fills_in(language: str) -> None:
    wrong = []
    for message in messages_of(po_path(language)):
        source = message.fields.get("msgid_plural", message.fields["msgid"])
        for text in message.translations[-1:]:
            if set(_PLACEHOLDER.findall(text)) != set(_PLACEHOLDER.findall(source)):
                wrong.append((message.key, text))
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_that_of_the_source(language: str) -> None:
    with po_path(language).with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    stale = []
    for message in messages_of(po_path(language)):
        for n, text in enumerate(message.translations):
            number = 1 if n == 0 else 2
            plural = message.fields.get("msgid_plural")
            context = message.fields.get("msgctxt")
            source = message.fields["msgid"]
            if plural is not None:
                found = compiled.ngettext(source, plural, number)
            elif context is not None:
                found = compiled.pgettext(context, source)
            else:
                found = compiled.gettext(source)
            if found != text:
                stale.append((source, found, text))
    assert stale == []


def test_every_text_of_the_code_is_in_both_catalogues(tmp_path: Path) -> None:
    if shutil.which("xgettext") is None:
        pytest.skip("no gettext on this machine, so that texts cannot be collected")
    root = Path(settings.BASE_DIR)
    for name in SOURCES:
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
    shutil.copy(root / "manage.py", tmp_path)
    (tmp_path / "static").mkdir()
    command = [sys.executable, "manage.py", "makemessages", "--no-obsolete", "--no-location", "-v", "0"]
    command += [part for language in LANGUAGES for part in ("-l", language)]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "mlplatform.settings"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for language in LANGUAGES:
        collected = tmp_path / po_path(language).relative_to(root)
        in_code = {message.key for message in messages_of(collected)}
        in_catalogue = {message.key for message in messages_of(po_path(language))}
        assert in_code - in_catalogue == set(), "run manage.py catalogues"
        assert in_catalogue - in_code == set(), "run manage.py catalogues"
