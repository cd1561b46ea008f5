"""The form of a new access key."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

LIFETIMES = ((30, _("30 days")), (90, _("90 days")), (365, _("1 year")), (0, _("Never")))


class AccessKeyForm(forms.Form):
    description = forms.CharField(
        label=_("Description"),
        max_length=200,
        required=False,
        help_text=_("What uses it, so that you can tell later."),
    )
    days = forms.TypedChoiceField(label=_("Expires after"), choices=LIFETIMES, coerce=int, initial=90)
