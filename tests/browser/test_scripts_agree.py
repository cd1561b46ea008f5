"""What scripts work out themselves is what the server works out: sizes in words, columns of a file, their labels."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Final

from playwright.sync_api import Page

from jobs.data.column_types import column_types_find
from jobs.data.labels import label_place
from jobs.data.sniff import layout_sniff
from mlplatform.core.errors import DataError, InvalidRequest
from mlplatform.web.templatetags.figures import bytes_text

READINGS: Final = [
    {"header": header, "encoding": "", "delimiter": delimiter}
    for header in ("", "yes", "no")
    for delimiter in ("", ",", ";")
]
FILES: Final[dict[str, bytes]] = {
    "plain": b"a,b,kind\n1,2,x\n3,4,y\n",
    "mark of UTF-8": b"\xef\xbb\xbfa,b\n1,2\n",
    "blank lines first": b"\r\n\n a , b \r\n1,2\r\n",
    "quoted": b'"a, b","line\nend","say ""so""","half"open\n1,2,3,4\n',
    "a quote inside": b'a"b,"c\n1,2\n',
    "tabs": b"a\tb, c\tkind\n1\t2\t3\n4\t5\t6\n",
    "semicolons": b"a;b,c;kind\n1;2,5;3\n4;5,5;6\n",
    "numbers only": b"1,2,3\n4,5,6\n",
    "an empty name": b"a,,b\n1,2,3\n",
    "named as positions": b"7,c0,c9\n1,2,3\n",
    "one column": b"kind\n1\n2\n",
    "no line end": b"a,b",
    "UTF-8": "身長,種類,値段〜\n1,2,3\n".encode(),
    "CP932": "身長,種類,値段～,ｶﾅ\n1,2,3,4\n".encode("cp932"),
    "EUC-JP": "身長,種類,値段〜,−\n1,2,3,4\n".encode("euc_jp"),
    "CP932 further on": b"a,kind\n" + b"1,2\n" * 90_000 + "1,種\n".encode("cp932"),
    "a header beyond the first bytes": b"z" * 300_000 + b",kind\n1,2\n",
    "JSON Lines": b'{"a": 1, "kind": 2}\n{"a": 3, "kind": 4}\n',
    "compressed": gzip.compress(b"a,kind\n1,2\n"),
}
LABELS: Final = (
    *("a", "b", "kind", "sort", "種類", "値段〜", "値段～", "値段", "ｶﾅ", "−", "－"),
    *("0", "1", "-1", "+1", "7", "99", "-99", "1_0", "３", "c0", "c1", "c9", "c99"),
)
SURELY_REFUSED: Final = [
    ("plain", "sort"),
    ("plain", "99"),
    ("plain", "-99"),
    ("plain", "c99"),
    ("mark of UTF-8", "kind"),
    ("quoted", "kind"),
    ("tabs", "sort"),
    ("numbers only", "kind"),
    ("UTF-8", "kind"),
    ("CP932", "kind"),
    ("EUC-JP", "値段"),
]


def test_sizes_have_the_digits_that_the_pages_have(signed_in_page: Page) -> None:
    sizes = [
        1,
        999,
        *(round(n * 1024**step) for step in (1, 2, 3, 4) for n in (1, 1.5, 12.34, 101.5, 1000.1)),
    ]
    signed_in_page.goto("/")
    shown = signed_in_page.evaluate(
        """async (sizes) => {
        const { sizeText } = await import("/static/js/amounts.js");
        return sizes.map((size) => sizeText(size).replace(",", ""));
        }""",
        sizes,
    )
    assert shown == [bytes_text(size) for size in sizes]


def test_the_browser_refuses_no_label_that_the_server_takes_and_those_that_surely_are_none(
    signed_in_page: Page, tmp_path: Path
) -> None:
    columns = {name: columns_at_server(content, tmp_path / "file") for name, content in FILES.items()}
    named = {label for found in columns.values() for one in found for label in one if len(label) < 100}
    signed_in_page.goto("/")
    refused = refused_by_browser(signed_in_page, sorted({*LABELS, *named}))
    wrongly = [
        (name, READINGS[place], label)
        for name, found in columns.items()
        for place, there in enumerate(found)
        for label in refused[name][place]
        if is_taken(label, there)
    ]
    assert wrongly == []
    assert [case for case in SURELY_REFUSED if case[1] not in refused[case[0]][0]] == []


def refused_by_browser(page: Page, labels: list[str]) -> dict[str, list[list[str]]]:
    """Per file, the labels that are refused for each of READINGS."""
    files = [(name, base64.b64encode(content).decode()) for name, content in FILES.items()]
    found: dict[str, list[list[str]]] = page.evaluate(
        """async ([files, readings, labels]) => {
        const { columnsOf } = await import("/static/js/csv-header.js");
        const found = {};
        for (const [name, content] of files) {
          const file = new File([Uint8Array.from(atob(content), (one) => one.charCodeAt(0))], name);
          found[name] = [];
          for (const reading of readings) {
            const columns = await columnsOf(file, reading);
            found[name].push(columns ? labels.filter((label) => columns.lacks(label)) : []);
          }
        }
        return found;
        }""",
        [files, READINGS, labels],
    )
    return found


def columns_at_server(content: bytes, path: Path) -> list[list[str]]:
    """The columns for each of READINGS; none where the file is refused."""
    path.write_bytes(content)
    found: list[list[str]] = []
    for reading in READINGS:
        header = {"": None, "yes": True, "no": False}[reading["header"]]
        try:
            layout = layout_sniff(path, header=header, delimiter=reading["delimiter"] or None)
            found.append(list(column_types_find(path, layout).columns))
        except DataError:
            found.append([])
    return found


def is_taken(label: str, columns: list[str]) -> bool:
    try:
        return bool(columns) and label_place(label, columns) is not None
    except InvalidRequest:
        return False
