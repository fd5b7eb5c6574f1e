"""The strict reader can find fault."""

from __future__ import annotations

import pytest

from tests.evaluation.report.html_check import check


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<div><p>a</div>", "closes"),
        ("<div>", "never closed"),
        ("<p><div>a</div></p>", "inside <p>"),
        ('<div id="a"></div><div id="a"></div>', "twice"),
        ('<img src="http://x.y/z.png" alt="a">', "leads outside"),
        ('<img src="data:image/png;base64,">', "no words"),
        ("<script>1</script>", "does not belong"),
        ('<div onclick="x"></div>', "script"),
        ('<a href="#nowhere">a</a>', "leads outside"),
        ("<td>a</td>", "inside"),
    ],
)
def test_faults_are_found(html: str, fault: str) -> None:
    assert any(fault in wrong for wrong in check(html).wrong)


def test_a_sound_page_has_none() -> None:
    page = (
        '<section id="a"><p>b &lt;script&gt;</p><a href="#a">c</a><img src="data:image/png;base64," alt="d"></section>'
    )
    found = check(page)
    assert found.wrong == []
    assert "b <script>" in "".join(found.words)
