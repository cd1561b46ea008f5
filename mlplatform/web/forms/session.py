"""The sign-in form: Django's own, in the platform's words."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _


class SignInForm(AuthenticationForm):
    """One message for every kind of wrong sign-in, so that it does not say which names exist."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.data.get("username"):  # a second attempt: it is the password that is typed anew
            self.fields["username"].widget.attrs.pop("autofocus", None)
            self.fields["password"].widget.attrs["autofocus"] = True

    error_messages = {
        "invalid_login": _("This user name and password do not belong together. Both are case-sensitive."),
        "inactive": _("This user name and password do not belong together. Both are case-sensitive."),
    }
