"""Words for why a model server's life ended."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from endpoints.services.replica_runs import RunEnd

_WORDS: dict[str, Promise] = {
    RunEnd.IDLE: _("nobody asked"),
    RunEnd.SCALED_DOWN: _("fewer were needed"),
    RunEnd.REPLACED: _("the endpoint was updated"),
    RunEnd.DELETED: _("the endpoint was deleted"),
    RunEnd.CRASHED: _("it ended by itself or was killed"),
    RunEnd.SILENT: _("it answered no more"),
    RunEnd.OUT_OF_MEMORY: _("it needed more memory than it may have"),
    RunEnd.FAILED_TO_START: _("it could not be started"),
    RunEnd.HOST_ENDED: _("its host ended"),
    RunEnd.HOST_LOST: _("its host was lost"),
}


def replica_end_words(reason: str) -> str:
    """Empty while it lives."""
    return str(_WORDS.get(reason, reason))
