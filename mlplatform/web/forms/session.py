"""The forms of signing in and of one's own password: Django's own, in the platform's words and behind its throttle."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from mlplatform.core.people.sign_in import password_attempt


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


class OwnPasswordForm(PasswordChangeForm):
    """Whoever has found a browser signed in may not guess the password at will either."""

    def clean_old_password(self) -> str:
        """Raises ValidationError for a wrong one, SignInThrottled after too many."""
        old: str = self.cleaned_data["old_password"]
        user = self.user
        right = password_attempt(
            username=user.get_username(), check=lambda: user.check_password(old), action="password.change"
        )
        if not right:
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return old
