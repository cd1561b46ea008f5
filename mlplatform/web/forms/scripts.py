"""The part of the new-job form that a script has: its framework and files as a person edits them, free rows of names.

A form shows the files of one stored source (`source`, its uid) or of none yet; what is typed over them is posted as
`file.<path>`. What was typed becomes a source of its own in `mlplatform.web.script_sources`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import QueryDict
from django.utils.translation import gettext as _

from jobs.services.scripts import ScriptRequest
from mlplatform.core.errors import FieldError

FILE: Final = "file."
CHANNELS_SUGGESTED: Final = ("train", "validation", "test")


@dataclass
class ScriptForm:
    """A script as it is filled in.

    Args:
        source: Uid of the stored source whose files are shown; empty while nothing is stored.
        files: Path to text, of every file that is shown in the editor; `\\n` ends a line.
        removed: Paths of stored files that were taken away.
        added: The path of a file that is to be begun.
        uri: An `s3://` address to read files from.
        edited: Whether what the editor has differs from the source; the API call asks with it instead of the text.
        paths: The paths of all files; the API call names them.
    """

    framework: str = "sklearn"
    entry_point: str = ""
    source: str = ""
    files: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    added: str = ""
    uri: str = ""
    edited: bool = False
    paths: list[str] = field(default_factory=list)

    @classmethod
    def from_post(cls, post: QueryDict) -> ScriptForm:
        return cls(
            framework=post.get("script.framework", ""),
            entry_point=post.get("script.entry_point", ""),
            source=post.get("script.source", ""),
            files={
                key.removeprefix(FILE): lines_ended(value)
                for key, value in post.items()
                if isinstance(value, str) and key.startswith(FILE) and key != FILE
            },
            removed=[path for path in post.getlist("script.removed") if path],
            added=post.get("script.added", "").strip(),
            uri=post.get("script.uri", "").strip(),
            edited=post.get("script.edited", "") == "1",
            paths=[path for path in post.getlist("script.path") if path],
        )

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> ScriptForm:
        """Of a create request; its files are those of the source."""
        script = request.get("script")
        named = script if isinstance(script, Mapping) else vars(script) if script is not None else {}
        return cls(
            framework=str(named.get("framework") or ""),
            entry_point=str(named.get("entry_point") or ""),
            source=str(named.get("source") or ""),
        )

    def as_request(self) -> dict[str, str]:
        """The field `script` of the JSON request."""
        return {"framework": self.framework, "entry_point": self.entry_point, "source": self.source}

    def service_request(self) -> ScriptRequest:
        return ScriptRequest(**self.as_request())


def lines_ended(text: str) -> str:
    """The text of a posted textarea, whose line ends a browser writes as `\\r\\n`, with `\\n`."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def hyperparameter_rows(post: QueryDict) -> dict[str, str]:
    """The free hyperparameters of a posted form; of a name given twice the last row counts (`rows_given_twice`)."""
    rows = zip(post.getlist("hyperparameter.name"), post.getlist("hyperparameter.value"), strict=False)
    return {name.strip(): value.strip() for name, value in rows if name.strip() or value.strip()}


def channel_rows(post: QueryDict) -> dict[str, dict[str, str]]:
    """The free channels of a posted form; a row without data is left out."""
    columns = [
        post.getlist(f"channel_row.{part}")
        for part in ("name", "dataset", "uri", "content_type", "input_mode")
    ]
    found = {}
    for name, dataset, uri, content_type, mode in zip(*columns, strict=False):
        if not (dataset.strip() or uri.strip()):
            continue
        given = {"dataset": dataset.strip(), "uri": uri.strip(), "input_mode": mode}
        found[name.strip()] = given | ({"content_type": content_type.strip()} if uri.strip() else {})
    return found


def rows_given_twice(post: QueryDict) -> list[FieldError]:
    """What a mapping of names cannot say: a name in two rows, and a row without a name."""
    channels = [
        name.strip()
        for name, *data in zip(
            *(post.getlist(f"channel_row.{part}") for part in ("name", "dataset", "uri")), strict=False
        )
        if any(data)
    ]
    names = [name.strip() for name in post.getlist("hyperparameter.name") if name.strip()]
    return [
        FieldError(f"{kind}.{name}", _("is given twice; give every name once"))
        for kind, given in (("hyperparameters", names), ("channels", channels))
        for name in _twice(given)
    ]


def _twice(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    again = []
    for name in names:
        if name in seen and name not in again:
            again.append(name)
        seen.add(name)
    return again
