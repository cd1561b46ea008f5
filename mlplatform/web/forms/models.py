"""Forms of models that are not made of a job: an archive that is uploaded, or that lies in the project's bucket."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from jobs.algorithms.registry import algorithm_list
from jobs.frameworks import FRAMEWORKS
from mlplatform.web.forms.datasets import NameForm

_FRAMEWORK = "framework:"
_ALGORITHM = "algorithm:"


def _served_by() -> list[Any]:
    frameworks = [(f"{_FRAMEWORK}{name}", one.title) for name, one in FRAMEWORKS.items()]
    algorithms = [(f"{_ALGORITHM}{one.name}", one.title) for one in algorithm_list()]
    return [
        (_("A script with handlers, or defaults of"), frameworks),
        (_("A built-in algorithm"), algorithms),
    ]


class ArchiveForm(NameForm):
    """What both have in common."""

    served_by = forms.ChoiceField(label=_("Served by"), choices=_served_by)
    entry_point = forms.CharField(
        label=_("Entry point"),
        required=False,
        max_length=200,
        help_text=_(
            "The script with the handlers in the archive's code/ folder. Default: inference.py there."
        ),
    )

    def arguments(self) -> dict[str, Any]:
        """Arguments of `model_create`."""
        values = self.cleaned_data
        kind, _colon, name = values["served_by"].partition(":")
        return {
            "name": values["name"],
            "description": values["description"],
            "algorithm": name if f"{kind}:" == _ALGORITHM else None,
            "framework": name if f"{kind}:" == _FRAMEWORK else None,
            "entry_point": values["entry_point"] or None,
        }


class ArchiveUploadForm(ArchiveForm):
    archive = forms.FileField(label=_("Archive"), allow_empty_file=True)


class ArchiveUriForm(ArchiveForm):
    artifact_uri = forms.CharField(
        label=_("URI"),
        max_length=300,
        help_text=_("s3:// of a model.tar.gz in this project's bucket. A copy is kept."),
    )
