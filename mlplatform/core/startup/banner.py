"""The framed lines that a start ends with: where the platform is, and once, how to sign in. Django-free."""

from __future__ import annotations

from mlplatform.core.process_log import ProcessLog
from mlplatform.core.startup.options import Options

PREFIX = "banner: "


class Banner:
    """Shows one frame. On a first start it waits for the lines that `manage.py first_run` prints with
    `PREFIX`.
    """

    def __init__(self, log: ProcessLog, options: Options) -> None:
        self._log = log
        self._lines = [f"mlplatform is running: {options.url}", f"Data directory: {options.data_dir}"]
        if options.is_open_to_others:
            self._lines.append(f"Open to other machines (--host {options.host}): see docs/security.md")
        self._lines.append("Ctrl-C ends everything.")
        self._added: list[str] = []
        self._is_shown = False

    def show(self) -> None:
        """Shows the frame now, or again with lines that were added since; otherwise does nothing."""
        if self._is_shown and not self._added:
            return
        self._log.frame([*self._lines, *([""] if self._added else []), *self._added])
        self._is_shown = True
        self._added = []

    def take(self, text: str) -> bool:
        """A line of first_run: keeps it for the frame and says True, or shows the frame, now complete."""
        if text.startswith(PREFIX):
            self._added.append(text.removeprefix(PREFIX))
            return True
        self.show()
        return False
