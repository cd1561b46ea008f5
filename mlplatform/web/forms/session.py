"""The sign-in form: Django's own, in the platform's words."""

from __future__ import annotations

from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _


class SignInForm(AuthenticationForm):
    """One message for every kind of wrong sign-in, so that it does not say which names exist."""

    error_messages = {
        "invalid_login": _("This user name and password do not belong together. Both are case-sensitive."),
        "inactive": _("This user name and password do not belong together. Both are case-sensitive."),
    }
