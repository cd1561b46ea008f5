"""Why a run of a table or an evaluation cannot go on, in words for the person who asked for it."""

from __future__ import annotations


class RunFailed(Exception):
    """The endpoint or the data does not allow it; the message is for whoever asked."""
