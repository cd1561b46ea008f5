"""How tests read a page: its text, its controls and the errors beside them."""

from __future__ import annotations

import html
import re
from typing import Any


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def control(page: str, name: str) -> str:
    """The tag of the form control of that name."""
    found = re.search(rf'<(?:input|select|textarea)[^>]*\bname="{re.escape(name)}"[^>]*>', page)
    assert found, f"no control named {name}"
    return found.group()


def described(page: str, name: str) -> str:
    """The error that is tied to a control."""
    tag = control(page, name)
    assert 'aria-invalid="true"' in tag
    ids = re.search(r'aria-describedby="([^"]*)"', tag)
    assert ids, tag
    error = next(one for one in ids.group(1).split() if one.endswith("-error"))
    found = re.search(rf'<p class="error" id="{re.escape(error)}">.*?<span>(.*?)</span></p>', page, re.S)
    assert found, f"no error {error}"
    return found.group(1)


def error_beside(page: str, name: str) -> str:
    """The error in the field of the control of that name."""
    for field in page.split('<div class="field')[1:]:
        if f'name="{name}"' in field and "aria-invalid" in field:
            found = re.search(r'<p class="error"[^>]*>.*?<span>(.*?)</span></p>', field, re.S)
            assert found, field
            return found.group(1)
    raise AssertionError(f"no error beside {name}")
