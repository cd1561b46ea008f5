"""Something that stands for pandas or scipy.sparse in a library that only asks whether what it is given is one of their
classes.

catboost does so of both, xgboost of scipy.sparse, and neither can be imported without, which takes longer than it. As
long as nobody has imported pandas nothing is a data frame; afterwards the question goes to the real classes, and
whoever makes one of them through this gets a real one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, Final

_CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    "pandas": ("DataFrame", "Series"),
    "scipy.sparse": (
        "spmatrix",
        "bsr_matrix",
        "coo_matrix",
        "csc_matrix",
        "csr_matrix",
        "dia_matrix",
        "dok_matrix",
        "lil_matrix",
    ),
}
"""By package, the classes that a library may ask about although nobody has imported the package. Anything else that is
asked of a stand-in imports it.
"""


class _Later(type):
    """The class of a class that is looked up when it matters."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return is_imported(cls.__module__) and isinstance(instance, _real(cls))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return is_imported(cls.__module__) and issubclass(subclass, _real(cls))

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return _real(cls)(*args, **kwargs)


class _StandIn(ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._classes = {each: _Later(each, (), {"__module__": name}) for each in _CLASSES[name]}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self._classes and not is_imported(self.__name__):
            return self._classes[name]
        return getattr(_imported(self.__name__), name)


@contextmanager
def imported_later(*names: str) -> Iterator[None]:
    """Within it an import of these gives stand-ins, unless they are there already; afterwards themselves.

    Where one is a part of a package, it stays the package's attribute until somebody imports it. Not for a process in
    which other threads import at the same time.
    """
    stand_ins = {name: _StandIn(name) for name in names if not is_imported(name)}
    for name, stand_in in stand_ins.items():
        package, _, part = name.rpartition(".")
        if package:
            setattr(import_module(package), part, stand_in)
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


def is_imported(name: str) -> bool:
    """Whether it is there, and not only something that stands for it."""
    return name in sys.modules and not isinstance(sys.modules[name], _StandIn)


def only_when_imported(name: str, question: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """`question`, which asks whether something is of a class of this package, without importing that to find out."""
    return lambda data: is_imported(name) and question(data)


def _real(cls: type) -> Any:
    return getattr(_imported(cls.__module__), cls.__name__)


def _imported(name: str) -> ModuleType:
    if not is_imported(name):
        sys.modules.pop(name, None)
    return import_module(name)
