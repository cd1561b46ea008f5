"""Icons: what is inlined, and that the package's archive is opened once for all of them."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from mlplatform.web import icons
from mlplatform.web.icons import icon_svg


def test_an_icon_has_its_size_its_attributes_and_no_namespace() -> None:
    svg = icon_svg("activity", size=14, **{"class": "icon", "aria-label": 'a "b" < c'})
    assert "xmlns" not in svg
    root = ElementTree.fromstring(svg)
    assert (root.tag, root.get("width"), root.get("height"), root.get("class")) == ("svg", "14", "14", "icon")
    assert root.get("aria-label") == 'a "b" < c'
    assert [child.tag for child in root] == ["path"]


def test_many_icons_open_the_archive_once() -> None:
    icons._archive.cache_clear()
    for name in ("server", "house", "circle", "download", "menu"):
        icon_svg(name, size=16)
    assert icons._archive.cache_info().misses == 1


def test_an_icon_that_is_none_is_an_error() -> None:
    with pytest.raises(KeyError, match="no-such-icon"):
        icon_svg("no-such-icon", size=16)
