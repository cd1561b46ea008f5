"""Sessions of pages that are only looked at: shown although the session cannot be written at the moment."""

from __future__ import annotations

import logging

from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import Error as DatabaseFault
from django.http import HttpRequest, HttpResponse

from mlplatform.core.health.outages import impatient, outage_of

logger = logging.getLogger(__name__)


class ReadingSessionMiddleware(SessionMiddleware):
    """Django's, but that a page remembers nothing (the project visited last) while the database takes no writes."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.method not in {"GET", "HEAD"} or not request.session.modified:
            return super().process_response(request, response)
        try:
            with impatient():
                return super().process_response(request, response)
        except (SessionInterrupted, DatabaseFault) as error:
            if not _is_outage(error):
                raise
            logger.warning("a session was not written: %s", error)
            return response


def _is_outage(error: BaseException | None) -> bool:
    """Whether an outage is behind it: Django says that the session was deleted whenever it cannot be written."""
    while error is not None:
        if outage_of(error) is not None:
            return True
        error = error.__context__
    return False
