"""Something that stands for pandas in a library that only asks whether what it is given is a data frame.

catboost does so, and cannot be imported without pandas, which takes longer than itself. As long as nobody has imported
pandas nothing is a data frame; afterwards the question goes to the real classes, and whoever makes a data frame through
this gets a real one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, Final

_NAME: Final = "pandas"
_CLASSES: Final = ("DataFrame", "Series")


class _Later(type):
    """The class of a class of pandas that is looked up when it matters."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return _NAME in sys.modules and isinstance(instance, _real(cls.__name__))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return _NAME in sys.modules and issubclass(subclass, _real(cls.__name__))

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return _real(cls.__name__)(*args, **kwargs)


class _Pandas(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _real(name)


@contextmanager
def pandas_later() -> Iterator[None]:
    """Within it `import pandas` gives the stand-in, unless pandas is there already; afterwards pandas itself."""
    if _NAME in sys.modules:
        yield
        return
    stand_in = _Pandas(_NAME)
    for name in _CLASSES:
        setattr(stand_in, name, _Later(name, (), {}))
    sys.modules[_NAME] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(_NAME) is stand_in:
            del sys.modules[_NAME]


def _real(name: str) -> Any:
    return getattr(import_module(_NAME), name)
