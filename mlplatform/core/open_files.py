"""How many files and sockets this process may have open. Children inherit it. Django-free."""

from __future__ import annotations

import resource


def open_files_allow(wanted: int) -> int:
    """Raises the soft limit to `wanted` where the hard one allows it; how many may be open now, `wanted` where there is
    no limit.

    The usual 1,024 are the first to give way where every connection that is handed on takes two.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft >= most:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
