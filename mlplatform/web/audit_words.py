"""The audit log's actions in words, and grouped by what they act on, for filters."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

ACTION_WORDS: Final = {
    "project.create": _("Project created"),
    "project.update": _("Project changed"),
    "member.set": _("Member added or role changed"),
    "member.remove": _("Member removed"),
    "access_key.create": pgettext_lazy("act", "Access key created"),
    "access_key.revoke": _("Access key revoked"),
    "dataset.create": _("Dataset created"),
    "dataset_version.create": _("Dataset version uploaded"),
    "dataset.update": _("Dataset changed"),
    "dataset.split": _("Dataset split"),
    "dataset.delete": _("Dataset deleted"),
    "source.create": _("Source code stored"),
    "training_job.create": _("Training job created"),
    "training_job.stop": pgettext_lazy("act", "Training job stopped"),
    "training_job.delete": _("Training job deleted"),
    "tuning_job.create": _("Tuning job created"),
    "tuning_job.stop": pgettext_lazy("act", "Tuning job stopped"),
    "tuning_job.extend": _("Tuning job extended"),
    "tuning_job.delete": _("Tuning job deleted"),
    "model.create": _("Model created"),
    "model.delete": _("Model deleted"),
    "endpoint.create": _("Endpoint created"),
    "endpoint.update": _("Endpoint changed"),
    "endpoint.delete": _("Endpoint deleted"),
    "data_capture.update": _("Data capture changed"),
    "table_run.create": _("Table run started"),
    "transform_job.create": _("Transform job created"),
    "transform_job.stop": pgettext_lazy("act", "Transform job stopped"),
    "transform_job.delete": _("Transform job deleted"),
    "evaluation.create": _("Evaluation created"),
    "evaluation.stop": pgettext_lazy("act", "Evaluation stopped"),
    "evaluation.delete": _("Evaluation deleted"),
    "experiment.create": _("Experiment created"),
    "experiment.stop": pgettext_lazy("act", "Experiment stopped"),
    "experiment.resume": _("Experiment resumed"),
    "experiment.delete": _("Experiment deleted"),
    "price_sheet.update": _("Price sheet changed"),
    "audit_event.list": _("Audit log read"),
}
"""Of a project. What belongs to none (signing in, users) is in the admin console, by its own name."""
ACTION_GROUPS: Final = [
    (_("Members and keys"), ["project", "member", "access_key"]),
    (_("Datasets"), ["dataset", "dataset_version"]),
    (_("Training jobs"), ["source", "training_job", "tuning_job"]),
    (_("Models and endpoints"), ["model", "endpoint", "data_capture", "table_run", "transform_job"]),
    (_("Evaluations and experiments"), ["evaluation", "experiment"]),
    (_("Other"), ["audit_event"]),
]
FACE_WORDS: Final = {
    "web": _("pages"),
    "api": _("REST API"),
    "admin": _("admin console"),
    "command": _("command line"),
    "scheduler": _("scheduler"),
}


def action_word(action: str) -> str:
    """The action in the reader's language; its own name where there is no word for it."""
    return str(ACTION_WORDS[action]) if action in ACTION_WORDS else action


def face_word(face: str) -> str:
    return str(FACE_WORDS[face]) if face in FACE_WORDS else face


def action_options() -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups of (action, words) for a select, in the reader's language."""
    return [(str(title), _options(entities)) for title, entities in ACTION_GROUPS]


def _options(entities: list[str]) -> list[tuple[str, str]]:
    return [(name, str(word)) for name, word in ACTION_WORDS.items() if name.split(".")[0] in entities]
