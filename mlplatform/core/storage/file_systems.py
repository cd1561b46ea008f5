"""Which kind of file system a path lies on, as the kernel tells. Django-free; Linux only, empty elsewhere."""

from __future__ import annotations

from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")


def file_system_type(path: Path) -> str:
    """Such as `ext4`, `tmpfs` or `nfs4`; empty where it cannot be found out."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    resolved = path.resolve()
    best: tuple[int, str] = (-1, "")
    for line in lines:
        place, _, rest = line.partition(" - ")
        mounted = Path(_unescaped(place.split(" ")[4]))
        depth = len(mounted.parts)
        # A later mount at the same place lies over the earlier one.
        if depth >= best[0] and resolved.is_relative_to(mounted):
            best = (depth, rest.split(" ")[0])
    return best[1]


def _unescaped(text: str) -> str:
    for code in ("040", "011", "012", "134"):
        text = text.replace(f"\\{code}", chr(int(code, 8)))
    return text
