"""Icons of the installed package lucide as SVG text. Called by the template tags.

The package itself opens its archive of 1,700 icons anew for each icon, which takes 20 ms of CPU: the first page of a
process, with some fifty of them, waited a second for its icons.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from xml.etree import ElementTree
from zipfile import ZipFile

_NAMESPACE = "http://www.w3.org/2000/svg"
ElementTree.register_namespace("", _NAMESPACE)


def icon_svg(name: str, *, size: int, **attributes: str) -> str:
    """The icon as an inline `<svg>`, `size` pixels wide and high.

    Raises:
        KeyError: there is no icon of this name.
    """
    svg = ElementTree.fromstring(_archive().read(f"{name}.svg"))
    svg.attrib.update({"width": str(size), "height": str(size), **attributes})
    return ElementTree.tostring(svg, encoding="unicode").replace(f' xmlns="{_NAMESPACE}"', "", 1)


@lru_cache(maxsize=1)
def _archive() -> ZipFile:
    """Opened once and read by several threads, which a `ZipFile` allows."""
    with resources.as_file(resources.files("lucide").joinpath("lucide.zip")) as path:
        return ZipFile(path)
