"""The report of a study: one page that needs nothing, readable in a real browser, whatever state the study is in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from mrirecon.errors import ConfigError, FormatError
from mrirecon.evaluation.readers.results import (
    AgreementSummary,
    CriterionRecord,
    GradingSummary,
    PreferenceSummary,
    RankSummary,
    ReaderResults,
    ScoreSummary,
    save_reader_results,
)
from mrirecon.jobs.reporting import Silent
from mrirecon.jobs.study_report import write_report
from tests.browser import browser, chromium
from tests.evaluation.report.html_check import Checker, check
from tests.evaluation.study_folder import SyntheticStudy, write_study

T = TypeVar("T")
NASTY = '<script>alert("s")</script>&\'"\u202e'
SMALL = SyntheticStudy(
    methods={"zero-filled": 1.0, "tv": 0.4},
    accelerations=(2.0, 4.0),
    matrix=(44, 36),
    n_slices=1,
    n_metrics=3,
)
FULL = replace(
    SMALL,
    methods={"zero-filled": 1.0, "tv": 0.4, "unfolded": 0.2},
    masks=("random", "equispaced"),
    prospective=("p1",),
    holes={"s2/random-R4-s0/tv": "diverged after 12 iterations <b>"},
    missing=("s3/equispaced-R2-s0/zero-filled",),
    warnings={"s1/random-R2-s0/tv": "2 slices ended at the iteration limit"},
    report={"margin": 0.05, "primary": "ssim"},
)


class Recorder(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.labels: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def track(self, items: Iterable[T], *, total: int, label: str) -> Iterator[T]:
        self.labels.append(f"{label} {total}")
        return iter(items)


def report(folder: Path, study: SyntheticStudy) -> tuple[Path, Checker]:
    """Write a study and its report, and read the page."""
    write_study(folder, study)
    page = write_report(folder, Silent())
    found = check(page.read_text(encoding="utf-8"))
    assert found.wrong == []
    return page, found


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("full"), FULL)
    save_reader_results(READERS, folder)
    reporter = Recorder()
    page = write_report(folder, reporter)
    assert reporter.warnings == ["1 cells were not run, 1 failed; the report shows the holes"]
    assert reporter.labels == [f"figures {len(list((folder / 'figures').glob('*.svg')))}"]
    return page


def words_of(page: Path) -> str:
    found = check(page.read_text(encoding="utf-8"))
    assert found.wrong == []
    return re.sub(r"\s+", " ", " ".join(found.words))


def test_everything_that_was_asked_for_is_there(full: Path) -> None:
    words = words_of(full)
    for wanted in (
        "mrirecon study run synthetic.yaml --out DIR",  # the command
        "numpy",  # versions
        "ab" * 6,  # checksum of an input
        "cd" * 32,  # checksum of the weights
        "weight 0.01",  # tuned
        "centre_lines",  # of a mask card
        "diverged after 12 iterations <b>",  # a hole and its reason, as text
        "not run yet",
        "s3/equispaced-R2-s0/zero-filled",
        "2 slices ended at the iteration limit",
        "Simulated from magnitude images: the phase is made up.",
        "coil maps are simulated".capitalize(),
        "Implicit data crimes",
        "retrospective",
        "No ground truth.",
        "Reduced chi-square",
        "Holm",
        "Student's t with fewer than 10 subjects",
        "Within 0.05 SSIM of zero-filled at the same acceleration, mask random",
        "effective R = ",
    ):
        assert wanted in words, wanted


def test_the_figures_lie_beside_the_page(full: Path) -> None:
    figures = full.parent / "figures"
    names = {p.stem for p in figures.iterdir()}
    assert {"quality-random", "subjects-random", "differences-equispaced", "typical-random-R2", "readers"} <= names
    assert {p.suffix for p in figures.iterdir()} == {".svg", ".png"}
    assert all((figures / f"{name}.svg").is_file() and (figures / f"{name}.png").is_file() for name in names)
    assert not list(full.parent.rglob("*.partial"))


def test_no_table_holds_two_metrics_or_two_masks(full: Path) -> None:
    tables = check(full.read_text(encoding="utf-8")).tables
    scores = [t for t in tables if "-better" in t.replace(" is better", "-better") and "effective R" in t]
    assert len(scores) >= 6
    for text in scores:
        assert sum(name in text for name in ("NMSE", "PSNR", "SSIM")) <= 2 - ("95 %" not in text)
        assert len(set(re.findall(r"\[(\w+-[0-9a-f]{8})\]", text))) <= 1
        assert len({"random" in text, "equispaced" in text}) == 2


def test_scans_without_reference_are_compared_with_nothing(full: Path) -> None:
    html = full.read_text(encoding="utf-8")
    start = html.index('<section id="prospective"')
    part = html[start : html.index("</section>", start)]
    assert "p1" in part
    assert "Absolute error" not in part
    assert "Image by tv at acquired R3 of p1" in part
    assert "p1" not in html[html.index('<section id="quality"') : html.index('<section id="pictures"')]


def test_readers_have_their_section(full: Path) -> None:
    words = words_of(full)
    assert "Reader study" in words
    assert "Conspicuity of <b>lesions</b>" in words
    assert "0.62 (0.31 to 0.84)" in words
    assert "3 / 2 / 1" in words
    assert "5e" * 32 in words
    assert "later answers are not blind" in words


def test_the_same_study_gives_the_same_bytes(tmp_path: Path) -> None:
    page, _ = report(tmp_path, replace(SMALL, subjects=("s1",), accelerations=(4.0,)))
    before = {p: p.read_bytes() for p in (page, *(tmp_path / "figures").iterdir())}
    assert len(before) == 1 + 2 * 4
    stale = [tmp_path / "figures" / f"prospective-s9-R3.1.{kind}" for kind in ("svg", "png")]
    own = tmp_path / "figures" / "layout.svg"
    for path in (*stale, own):
        path.write_text("of an earlier report, or of somebody else")
    write_report(tmp_path, Silent())
    assert {p: p.read_bytes() for p in before} == before
    assert [p.exists() for p in (*stale, own)] == [False, False, True]


def test_names_cannot_become_markup(tmp_path: Path) -> None:
    study = replace(
        SMALL,
        subjects=(NASTY, "s2"),
        accelerations=(2.0,),
        limits=(NASTY,),
        description=NASTY,
        warnings={"s2/random-R2-s0/tv": NASTY},
        holes={"s2/random-R2-s0/zero-filled": NASTY},
    )
    page, found = report(tmp_path, study)
    assert "<script" not in page.read_text(encoding="utf-8")
    assert "".join(found.words).count("<script>alert") >= 4


@pytest.mark.parametrize(("n", "sentence"), [(1, "There is one subject."), (3, "not meaningful and are not given")])
def test_few_subjects_get_no_intervals(tmp_path: Path, n: int, sentence: str) -> None:
    page, _ = report(tmp_path, replace(SMALL, subjects=tuple(f"s{i}" for i in range(n)), report={"margin": 0.05}))
    words = words_of(page)
    assert sentence in words
    assert "There are no intervals: too few subjects" in words
    assert "(95 % interval)" not in words[words.index("Mask: random") : words.index("Comparison of methods")]
    assert "too few subjects" in words
    assert "up to R" not in words


def test_one_method_and_one_acceleration(tmp_path: Path) -> None:
    page, _ = report(tmp_path, replace(SMALL, methods={"sense": 0.5}, accelerations=(4.0,), subjects=("s1",)))
    assert "Comparison of methods" not in words_of(page)


def test_a_study_that_has_only_begun(tmp_path: Path) -> None:
    everything = [f"{s}/random-R{r}-s0/{m}" for s in SMALL.subjects for r in (2, 4) for m in SMALL.methods]
    page, _ = report(tmp_path, replace(SMALL, missing=tuple(everything)))
    words = words_of(page)
    assert "24 cells not run" in words
    assert "No cell with a reference has scores yet" in words


def test_only_prospective_scans(tmp_path: Path) -> None:
    page, _ = report(tmp_path, replace(SMALL, subjects=(), prospective=("p1", "p2"), affine=None))
    words = words_of(page)
    assert "No scan of this study has a fully sampled reference" in words
    assert "left and right of the patient cannot be told" in words
    assert "undersampling is retrospective" not in words.lower()


def test_a_metric_that_was_asked_for_and_is_not_there(tmp_path: Path) -> None:
    asked = {"metrics": {"preset": "study", "lpips": True}}
    page, _ = report(tmp_path / "a", replace(SMALL, settings=asked, subjects=("s1",)))
    assert "LPIPS was asked for and is not here" in words_of(page)
    page, _ = report(tmp_path / "b", replace(SMALL, subjects=("s1",)))
    assert "LPIPS" not in words_of(page)


def test_wrong_choices_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no study"):
        write_report(tmp_path, Silent())
    folder = write_study(tmp_path / "a", replace(SMALL, subjects=("s1",), report={"baseline": "grappa"}))
    with pytest.raises(ConfigError, match="grappa"):
        write_report(folder, Silent())


@pytest.mark.slow
def test_a_large_study_stays_below_15_mb(tmp_path: Path) -> None:
    study = SyntheticStudy(
        subjects=tuple(f"subject-{i:02d}" for i in range(20)),
        methods={f"method {i}": 1.0 - 0.1 * i for i in range(8)},
        accelerations=(2.0, 3.0, 4.0, 6.0, 8.0),
        matrix=(320, 320),
        n_slices=1,
        scored=False,
        prospective=("p1", "p2"),
    )
    page, _ = report(tmp_path, study)
    assert 2e6 < page.stat().st_size < 15e6
    assert "800" in words_of(page)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, False), (1280, True)])
def test_in_a_real_browser(full: Path, tmp_path: Path, width: int, dark: bool) -> None:
    chromium()
    with browser(tmp_path / "profile") as tab:
        tab.open(full, width=width, dark=dark)
        assert tab.complaints() == []
        assert tab.requests() == [full.resolve().as_uri()]
        assert tab.value("document.documentElement.scrollWidth <= innerWidth")
        assert tab.value("[...document.images].every(i => i.complete && i.naturalWidth > 0 && i.alt.trim() !== '')")
        assert tab.value("document.images.length") > 30
        assert tab.value("document.compatMode") == "CSS1Compat"
        assert tab.value("[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))")
        tab.value("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert tab.value("document.documentElement.scrollWidth <= innerWidth"), "something in a folded part is too wide"
        # the text is readable on its ground: luminances of WCAG 2.1, contrast at least 4.5
        assert tab.value(CONTRAST) == []
        tab.value("document.querySelector('h2').style.color = 'var(--line)'")
        assert len(tab.value(CONTRAST)) == 1, "the measurement of contrast must be able to fail"


CONTRAST = """(() => {
  const shades = c => c.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = c.map(v => linear(v / 255)); return .2126 * r + .7152 * g + .0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) { const c = shades(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  const bad = new Set();
  for (const e of document.querySelectorAll('p, li, td, th, b, small, span, figcaption, summary, code, a, h2')) {
    if (!e.textContent.trim() || e.classList.contains('letter')) continue;
    const [a, b] = [light(shades(getComputedStyle(e).color).slice(0, 3)), light(ground(e).slice(0, 3))];
    const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (contrast < 4.5) bad.add(`${e.tagName}.${e.className} ${contrast.toFixed(2)}`);
  }
  return [...bad]; })()"""

READERS = ReaderResults(
    study="synthetic study",
    seal="5e" * 32,
    readers=("r1", "r2"),
    methods=("zero-filled", "tv", "reference"),
    settings=("random R4",),
    baseline="reference",
    criteria=(
        CriterionRecord("lesions", "Conspicuity of <b>lesions</b>", "How well are they seen?", ("1 not", "5 well")),
    ),
    n_subjects=6,
    n_inputs=6,
    n_series=18,
    n_repeats=2,
    n_pairs=6,
    complete=False,
    scores=(
        ScoreSummary("", "reference", "lesions", (0, 0, 1, 3, 8), 5.0, 4.6, {"r1": 4.5, "r2": 4.7}),
        ScoreSummary("random R4", "tv", "lesions", (0, 2, 4, 5, 1), 3.5, 3.4, {"r1": 3.0, "r2": 3.8}),
        ScoreSummary("random R4", "zero-filled", "lesions", (6, 4, 2, 0, 0), 1.5, 1.7, {"r1": 1.5, "r2": 1.9}),
    ),
    agreement=(AgreementSummary("inter", "", "lesions", 0.62, 0.31, 0.84, 0.5, 0.9, 18, 6, "Kappa was 0.62."),),
    gradings=(
        GradingSummary(
            "random R4", "lesions", "tv", "reference", 0.2, 0.1, 0.4, 0.03, 0.06, ((0.0, 0.0), (1.0, 1.0)), 6, "Graded."
        ),
    ),
    preferences=(
        PreferenceSummary(
            "random R4", "tv", "zero-filled", 3, 2, 1, (6, 4, 2), 0.6, 0.15, 0.95, 1.0, 1.0, "Preferred."
        ),
    ),
    ranks=(
        RankSummary(
            "random R4", "zero-filled", ("tv", "zero-filled"), (0.4, 0.0), (None, None), (None, None), "Ranked."
        ),
    ),
    remarks=("few readers",),
)
