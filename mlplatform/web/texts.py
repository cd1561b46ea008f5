"""The words that scripts show, in the reader's language; `static/js/texts.js` reads them from the page."""

from __future__ import annotations

from django.utils.translation import gettext as _


def script_texts() -> dict[str, str]:
    """Key to text. `{name}` is filled in by the script."""
    return {
        "copy": _("Copy"),
        "copied": _("Copied"),
        "copy_failed": _("Not copied: select the text and copy it by hand"),
        "confirm": _("Please confirm"),
        "reconnecting": _("Updated {seconds} s ago, reconnecting…"),
        "upload_sent": _("Sent {sent} of {total}"),
        "upload_reading": _("Sent. Reading every row and column…"),
        "upload_too_large": _("The file has {size}; at most {limit} may be uploaded."),
        "upload_lost": _("The connection was lost while sending the file. Nothing was kept; send it again."),
        "upload_cancelled": _("Cancelled. Nothing was kept."),
        "chart_table": _("Show as table"),
        "chart_download": _("Download as {kind}"),
        "chart_failed": _(
            "The chart could not be drawn. Reload the page; its numbers are on the page all the same."
        ),
        "chart_series": _("Series"),
        "chart_cut": _("The first {n} rows are shown; the download has all of them."),
    }
