"""The audit log's actions in words, and grouped by what they act on, for filters."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext, gettext_noop

ACTION_WORDS: Final = {
    "project.create": gettext_noop("Project created"),
    "project.update": gettext_noop("Project changed"),
    "member.set": gettext_noop("Member added or role changed"),
    "member.remove": gettext_noop("Member removed"),
    "access_key.create": gettext_noop("Access key created"),
    "access_key.revoke": gettext_noop("Access key revoked"),
    "dataset.create": gettext_noop("Dataset created"),
    "dataset_version.create": gettext_noop("Dataset version uploaded"),
    "dataset.update": gettext_noop("Dataset changed"),
    "dataset.split": gettext_noop("Dataset split"),
    "dataset.delete": gettext_noop("Dataset deleted"),
    "training_job.create": gettext_noop("Training job created"),
    "training_job.stop": gettext_noop("Training job stopped"),
    "training_job.delete": gettext_noop("Training job deleted"),
    "model.create": gettext_noop("Model created"),
    "model.delete": gettext_noop("Model deleted"),
    "endpoint.create": gettext_noop("Endpoint created"),
    "endpoint.update": gettext_noop("Endpoint changed"),
    "endpoint.delete": gettext_noop("Endpoint deleted"),
    "table_run.create": gettext_noop("Table run started"),
    "audit_event.list": gettext_noop("Audit log read"),
}
"""Of a project. What belongs to none (signing in, users) is in the admin console, by its own name."""
ACTION_GROUPS: Final = [
    (gettext_noop("Members and keys"), ["project", "member", "access_key"]),
    (gettext_noop("Datasets"), ["dataset", "dataset_version"]),
    (gettext_noop("Training jobs"), ["training_job"]),
    (gettext_noop("Models and endpoints"), ["model", "endpoint", "table_run"]),
    (gettext_noop("Other"), ["audit_event"]),
]
FACE_WORDS: Final = {
    "web": gettext_noop("pages"),
    "api": gettext_noop("REST API"),
    "admin": gettext_noop("admin console"),
    "command": gettext_noop("command line"),
}


def action_word(action: str) -> str:
    """The action in the reader's language; its own name where there is no word for it."""
    return gettext(ACTION_WORDS[action]) if action in ACTION_WORDS else action


def face_word(face: str) -> str:
    return gettext(FACE_WORDS[face]) if face in FACE_WORDS else face


def action_options() -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups of (action, words) for a select, in the reader's language."""
    return [(gettext(title), _options(entities)) for title, entities in ACTION_GROUPS]


def _options(entities: list[str]) -> list[tuple[str, str]]:
    return [(name, gettext(word)) for name, word in ACTION_WORDS.items() if name.split(".")[0] in entities]
