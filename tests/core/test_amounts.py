"""Sizes in messages: the digits of pages, and never an exponent."""

from __future__ import annotations

import pytest

from mlplatform.core.amounts import size_text
from mlplatform.web.templatetags.figures import bytes_text


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (1000 * 1024, "1000 KiB"),
        (1_023 * 1024**2, "1023 MiB"),
        (108_984_795_136, "101.5 GiB"),
        (3 * 1024**6, "3072 PiB"),
    ],
)
def test_a_size_has_up_to_four_digits(size: int, words: str) -> None:
    assert size_text(size) == words


@pytest.mark.parametrize("size", [5 * 1024, 123_456, 999 * 1024, 108_984_795_136, 7.3 * 1024**4])
def test_a_message_and_a_page_say_the_same(size: float) -> None:
    assert size_text(size) == bytes_text(size)
