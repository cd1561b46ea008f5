"""The question before something is destroyed: a dialog's content for scripts, a page without them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _


def confirm_page(
    request: HttpRequest,
    *,
    title: str,
    back: str,
    text: str = "",
    goes: Sequence[str] = (),
    action: str = "",
    typed: str = "",
    refusal: str = "",
    status: int = 0,
) -> HttpResponse:
    """Asks for confirmation; the form posts to the same address.

    Args:
        goes: what is destroyed with it, a line each.
        action: the button's word; "Delete" where none is given.
        typed: a name that has to be typed first; a post without it asks again (see `confirmed`).
        refusal: why it cannot be done now; then there is no button.
        status: of the answer; as the method says where none is given.
    """
    template = "generic/_confirm.html" if getattr(request, "htmx", False) else "generic/confirm.html"
    context = {
        "title": title,
        "text": text,
        "goes": goes,
        "action": action or _("Delete"),
        "typed": typed,
        "mistyped": request.method == "POST",
        "refusal": refusal,
        "back": back,
    }
    status = status or (400 if request.method == "POST" else 200)
    return render(request, template, context, status=status)


def confirmed(request: HttpRequest, typed: str) -> bool:
    """Whether the name was typed as it is; full-width letters count as plain ones."""
    return unicodedata.normalize("NFKC", request.POST.get("typed", "")).strip() == typed
