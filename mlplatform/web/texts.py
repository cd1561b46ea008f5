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
        "upload_sending": _("Sending…"),
        "upload_sent": _("Sent {sent} of {total}"),
        "upload_rate": _("Sent {sent} of {total}, {rate} a second, about {left} left"),
        "upload_pause": _("Pause"),
        "upload_go_on": _("Go on"),
        "upload_paused": _("Paused at {sent} of {total}. What was sent is kept."),
        "upload_waiting": _(
            "The connection was lost at {sent} of {total}. What was sent is kept; trying again in {wait}."
        ),
        "upload_held": _(
            "Stopped at {sent} of {total}: another connection still sends this file, an earlier one of this page "
            "perhaps. What was sent is kept; trying again in {wait}."
        ),
        "upload_elsewhere": _(
            "Another tab is sending this file. This one waits until that has ended, and then goes on."
        ),
        "upload_left": _("No longer waiting. The other tab goes on sending."),
        "upload_gone": _(
            "The upload of this file was finished, cancelled or discarded in another tab. See in the list whether "
            "the dataset is there; if not, press Upload again."
        ),
        "upload_changed": _(
            "The file can no longer be read: it was changed, moved or deleted after it was chosen, or its drive is "
            "away. Choose it again; if it is unchanged, sending goes on where it was."
        ),
        "upload_not_begun": _("The upload did not begin. Reload the page and try again."),
        "upload_one_file": _("Drop one file: neither several nor a folder can be sent."),
        "upload_unfinished": _(
            "{name} was sent up to {sent} of {total}. Choose the same file again, and it goes on from there."
        ),
        "upload_whole": _(
            "{name} was sent whole, {total}, but no dataset was made of it. Choose the same file again; it is not "
            "sent again."
        ),
        "upload_foreign": _(
            "{name} was sent up to {sent} of {total} by another browser or program. If nothing sends it any more, "
            "discard it."
        ),
        "upload_goes_on": _("{name} was sent up to {sent} of {total} before. Upload goes on from there."),
        "upload_discarded": _("What was sent of {name} is discarded."),
        "upload_not_discarded": _(
            "{name} was not discarded: it is being sent by another tab, or the connection was lost. Try again."
        ),
        "label_unknown": _("{value} is not a column; use one of {names}, or a position from 0 to {last}"),
        "upload_stopped": _("The upload was refused. What was sent is kept; reload the page and try again."),
        "upload_lost_reading": _(
            "The connection was lost while the file was read. See in the list whether the dataset is there; if not, "
            "send the form again: the file itself is kept and need not be sent again."
        ),
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
        "chart_zoom_out": _("Double-click to zoom back out"),
        "chart_isolate": _("Double-click in the legend to show one series alone"),
        "selected": _("{n} selected"),
        "selected_one": _("1 selected: tick at least one more."),
        "selected_hidden": _("{n} selected, {hidden} of them not shown here"),
        "selected_too_long": _(
            "{n} selected: their names are too long for one address. Search for them and compare all that match."
        ),
        "selected_too_many": _("{n} selected: at most {max} can be compared."),
        "parallel_axes": _("Axes and ranges"),
        "parallel_runs": _("Runs: the arrow keys go from one to the next"),
        "parallel_hint": _("Point at a line to read its run, or go from run to run with the arrow keys."),
        "parallel_none": _("none"),
        "parallel_kept": _("{n} of {all} runs"),
        "parallel_only": _("Compare only these"),
        "parallel_clear": _("Keep all"),
        "parallel_colour": _("Colour"),
        "parallel_by_run": _("Run"),
        "parallel_from": _("{axis}: at least"),
        "parallel_to": _("{axis}: at most"),
        "parallel_keep": _("{axis}: keep {category}"),
        "parallel_left": _("Move {axis} to the left"),
        "parallel_right": _("Move {axis} to the right"),
        "form_lost": _("The connection was lost. Nothing was kept; send it again."),
        "source_sending": _("Sending {n} files…"),
        "source_too_many": _(
            "{n} files: at most {max} can be sent one by one. Pack them as .tar.gz and send that."
        ),
        "code_edited": _("Changed, not stored yet"),
        "code_discard": _("What was changed in the files is not stored. Discard it?"),
        "code_remove_entry": _("{path} is the file that is run. Remove it?"),
        "code_saved": _("Stored"),
        "code_removed": _("{path} is removed"),
        "chart_cut": _("The first {n} rows are shown; the download has all of them."),
    }
