"""Text never becomes markup."""

from __future__ import annotations

import pytest

from mrirecon.errors import ConfigError
from mrirecon.evaluation.report.markup import bullets, joined, table, tag, text
from tests.evaluation.report.html_check import check

NASTY = "</td><script>alert('1')</script>\" onload=\"x & y"


def test_text_and_attributes_are_escaped() -> None:
    html = joined(tag("div", NASTY, tag("span", NASTY), attributes={"class": NASTY}))
    found = check(html)
    assert found.wrong == []
    assert found.words == [NASTY, NASTY]


def test_what_a_page_cannot_hold_is_replaced() -> None:
    assert text("a\x00b\x1b[0m\udce9\x85") == "a\ufffdb\ufffd[0m?\ufffd"
    text("\udce9").encode("utf-8")


def test_nothing_and_sequences() -> None:
    assert joined([None, "a", ["<", tag("b", "c")]]) == "a&lt;<b>c</b>"
    assert bullets([]).html == ""


def test_void_elements_hold_nothing() -> None:
    assert tag("br").html == "<br>"
    with pytest.raises(ConfigError, match="holds nothing"):
        tag("img", "a")


def test_tables_have_row_and_column_headers() -> None:
    html = table(["a", "b", "c"], [["x", "1", NASTY]], caption="d").html
    assert check(html).wrong == []
    assert '<th scope="row">x</th><td class="n">1</td>' in html
    assert '<th scope="col">a</th>' in html
