"""Forms of datasets. They read what was posted; the rules are the services', whose errors are put to the fields."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from mlplatform.core.errors import Conflict, PlatformError, TooLarge
from mlplatform.core.translation import translated_error

HEADER_CHOICES = (("", _("Find out")), ("yes", _("The first row has the names")), ("no", _("No header")))
ENCODING_CHOICES = (
    ("", _("Find out")),
    ("utf-8", "UTF-8"),
    ("cp932", _("CP932 (Shift_JIS, Japanese Windows)")),
    ("euc_jp", "EUC-JP"),
)
DELIMITER_CHOICES = (("", _("Find out")), (",", _("Comma")), ("\t", _("Tab")), (";", _("Semicolon")))
_HEADER = {"": None, "yes": True, "no": False}


class _ServiceForm(forms.Form):
    """A form whose values a service judges."""

    def refuse(self, error: PlatformError) -> None:
        """Puts a service's error to the fields that it names, the rest above the form."""
        error = translated_error(error)
        if isinstance(error, Conflict) and not error.errors and "name" in self.fields:
            self.add_error("name", error.message)
        elif isinstance(error, TooLarge) and "file" in self.fields:
            self.add_error("file", error.message)
        elif not error.errors:
            self.add_error(None, error.message)
        for problem in error.errors:
            known = problem.field in self.fields
            self.add_error(problem.field if known else None, problem.message if known else _named(problem))


class NameForm(_ServiceForm):
    name = forms.CharField(
        label=_("Name"), max_length=63, help_text=_("1 to 63 letters (a-z, A-Z), digits and hyphens.")
    )
    description = forms.CharField(
        label=_("Description"), required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class ReadingForm(_ServiceForm):
    """How to read a file; everything may be left to the platform to find out."""

    label = forms.CharField(
        label=_("Label column"),
        required=False,
        help_text=_("Its name, or its position from 0. Leave it empty for a table without a label."),
    )
    header = forms.ChoiceField(label=_("Header (CSV)"), choices=HEADER_CHOICES, required=False)
    encoding = forms.ChoiceField(label=_("Encoding (CSV)"), choices=ENCODING_CHOICES, required=False)
    delimiter = forms.ChoiceField(label=_("Delimiter (CSV)"), choices=DELIMITER_CHOICES, required=False)

    def reading(self) -> dict[str, Any]:
        """Arguments of the dataset services."""
        values = self.cleaned_data
        return {
            "label": values["label"] or None,
            "header": _HEADER[values["header"]],
            "encoding": values["encoding"] or None,
            "delimiter": values["delimiter"] or None,
        }


class FileForm(ReadingForm):
    """A file, or the id of a resumable upload that a script has put in its place."""

    file = forms.FileField(label=_("File"), allow_empty_file=True, required=False)
    upload = forms.CharField(required=False, max_length=63, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not values.get("file") and not values.get("upload") and not self.has_error("file"):
            self.add_error("file", forms.Field.default_error_messages["required"])
        return values

    def add_error(self, field: str | None, error: Any) -> None:
        """What is wrong with the upload stands at the file."""
        super().add_error("file" if field == "upload" else field, error)


class UploadForm(NameForm, FileForm):
    pass


class UriForm(NameForm, ReadingForm):
    uri = forms.CharField(
        label=_("URI"),
        help_text=_("s3:// of this project's bucket, or a public https:// address. A copy is kept."),
    )


class SampleForm(NameForm):
    sample = forms.CharField(label=_("Sample"))


class VersionForm(FileForm):
    pass


class LabelForm(_ServiceForm):
    label = forms.CharField(label=_("Label column"), required=False)


class SplitForm(_ServiceForm):
    first = forms.CharField(label=_("First part"), initial="train", max_length=40)
    second = forms.CharField(label=_("Second part"), initial="test", max_length=40)
    share = forms.FloatField(
        label=_("Share of the second part"),
        initial=0.25,
        help_text=_("Between 0 and 1. The number of its rows is rounded up, as in scikit-learn."),
        widget=forms.NumberInput(attrs={"min": "0", "max": "1", "step": "any"}),
    )
    seed = forms.IntegerField(
        label=_("Seed"),
        initial=0,
        help_text=_("scikit-learn's random_state: the same seed gives the same rows."),
    )
    stratify = forms.BooleanField(
        label=_("Keep the share of each label in both parts"),
        required=False,
        help_text=_("scikit-learn's stratify."),
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("first") and values.get("first") == values.get("second"):
            self.add_error("second", _("The two parts need different names."))
        return values

    def arguments(self) -> dict[str, Any]:
        """Arguments of `dataset_split`."""
        values = self.cleaned_data
        share = values["share"]
        return {
            "fractions": {values["first"]: round(1 - share, 12), values["second"]: share},
            "seed": values["seed"],
            "stratify": values["stratify"],
        }

    def refuse(self, error: PlatformError) -> None:
        """A part's own error stands at the part's name."""
        error = translated_error(error)
        parts = {f"fractions.{self.cleaned_data[place]}": place for place in ("first", "second")}
        for problem in error.errors:
            if problem.field in parts:
                self.add_error(parts[problem.field], problem.message)
            elif problem.field == "fractions":
                self.add_error("share", problem.message)
            else:
                known = problem.field in self.fields
                self.add_error(problem.field if known else None, problem.message)
        if not error.errors:
            self.add_error(None, error.message)


def _named(problem: Any) -> str:
    return f"{problem.field}: {problem.message}"
