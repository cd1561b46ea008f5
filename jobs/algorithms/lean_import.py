"""Imports a library without those of its optional parts that are of no use here. Imports nothing heavy.

Some libraries import data frames and estimators only because these happen to be installed. A job or model server that
never hands them one would wait for that longer than for everything else together, and keep its memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import LazyLoader, find_spec, module_from_spec
from typing import Final

_PARTS_OF_NUMPY: Final = ("f2py", "testing")
"""A Fortran compiler's front and the tools of test suites: with what they import, a third of importing scipy."""


class _NotThere:
    """Says of some packages that there are none, before anybody looks for them."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Within it these packages look as if they were not installed, but for those that are imported already.

    Afterwards they can be imported as ever. Not for a process in which other threads import at the same time.
    """
    finder = _NotThere(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def arrow_without_pandas() -> None:
    """pyarrow asks once whether there is pandas, for the first array that is made of Python's own values, and imports
    it then. From here on it takes it that there is none. For processes that hand it no data frames.
    """
    if "pandas" in sys.modules:
        return
    with hidden("pandas"):
        import pyarrow

        pyarrow.array([None])


def numpy_parts_later() -> None:
    """scipy takes everything that numpy names, and with it parts that nobody needs. From here on those are imported
    when something of them is used, for the first time by one thread only.
    """
    import numpy

    for part in _PARTS_OF_NUMPY:
        name = f"{numpy.__name__}.{part}"
        spec = None if name in sys.modules else find_spec(name)
        if spec is None or spec.loader is None:
            continue
        spec.loader = LazyLoader(spec.loader)
        module = sys.modules[name] = module_from_spec(spec)
        setattr(numpy, part, module)
        spec.loader.exec_module(module)
