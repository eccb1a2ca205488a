"""The page shows what it was given, keeps foreign text inert, and draws in a real browser."""

import dataclasses
import html.parser
import json
import pathlib
import re
import shutil
import subprocess

import plotly.graph_objects
import pytest

from hwnas.report import BudgetRow, Network, ReportData, render_report, write_report

from .examples import HOSTILE, finished_search

FIGURES = ["score", "front", "agreement", "expected-0", "expected-1", "entropy", "time"]


class Page(html.parser.HTMLParser):
    """The elements, the text outside scripts, and the figures of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        (self.scripts if self.tags and self.tags[-1][0] in {"script", "style"} else self.words).append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    @property
    def figures(self) -> dict[str, dict[str, object]]:
        [found] = [script for script in self.scripts if script.strip().startswith('{"score"')]
        return json.loads(found)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_report(finished_search()))


def test_the_summary_shows_every_budget_and_the_evidence(page: Page) -> None:
    for words in (
        "Every budget is kept",
        "latency ✓ kept 5 ms 4.81 ms 4.87 ms 97.4 %",
        "params ✓ kept 4 M params 3.912 M params",
        "memory ✓ kept 8 MB 6.1 MB –",
        "92.3 ± 0.3 %",
        "0.71 ± 0.06",
        "5.9 × 10²¹ networks of mobilenet_v3_28",
        "1 h 5 min",
        "noise floor is 1.1 %",
        "seed 3",
    ):
        assert words in page.text


def test_a_budget_that_is_not_kept_is_said_first() -> None:
    over = BudgetRow(profiler="latency", unit="ms", limit=5.0, predicted=4.8, measured=5.2)
    text = Page(render_report(dataclasses.replace(finished_search(), budgets=(over,)))).text
    assert "A budget is not kept" in text
    assert "✗ over" in text
    assert "Every budget" not in text


def test_a_rank_correlation_of_too_few_networks_has_no_error() -> None:
    data = finished_search()
    assert data.estimate is not None
    estimate = dataclasses.replace(data.estimate, kendall_tau_standard_error=None, num_held_out=2)
    text = Page(render_report(dataclasses.replace(data, estimate=estimate))).text
    assert "Kendall's tau, 2 held-out networks 0.71" in text
    assert "0.71 ±" not in text


def test_a_value_that_is_no_number_does_not_keep_a_budget() -> None:
    assert not BudgetRow(profiler="latency", unit="ms", limit=5.0, predicted=4.8, measured=float("nan")).kept


def test_the_page_needs_nothing_beside_it(page: Page) -> None:
    assert not [tag for tag, attributes in page.tags if {"src", "href", "srcset"} & attributes.keys()]
    assert "link" not in {tag for tag, _ in page.tags}


def test_foreign_text_stays_text() -> None:
    page = Page(render_report(finished_search(name=HOSTILE)))
    assert "img" not in {tag for tag, _ in page.tags}
    assert sum(tag == "script" for tag, _ in page.tags) == 3
    assert HOSTILE in page.text
    assert "<img" not in json.dumps(page.figures)


def test_every_figure_is_one_that_plotly_accepts(page: Page) -> None:
    assert list(page.figures) == FIGURES
    colours = re.compile(r'"@[a-z]+"')
    for figure in page.figures.values():
        text = json.dumps(figure)
        plotly.graph_objects.Figure(json.loads(colours.sub('"#123456"', text)))
        for role in set(colours.findall(text)):
            assert f"--{role[2:-1]}:" in "".join(page.scripts)


def test_a_report_of_the_least_there_is() -> None:
    chosen = Network(name="chosen", cost=1.0, score=0.5)
    page = Page(render_report(ReportData(title="t", space="s", num_architectures=6, chosen=chosen, budgets=())))
    assert list(page.figures) == ["score"]
    assert "One of 6 networks of s" in page.text


def test_another_score_than_accuracy_has_its_own_name() -> None:
    chosen = Network(name="chosen", cost=1.0, score=-0.0553, standard_error=0.0021)
    data = ReportData(title="t", space="s", num_architectures=6, chosen=chosen, budgets=(), score_name="minus NME")
    page = Page(render_report(dataclasses.replace(data, test_score=-0.05, test_standard_error=0.002)))
    for words in (
        "test minus NME -0.0500 ± 0.0020",
        "minus NME before fine-tuning -0.0553 ± 0.0021",
        "Minus NME against",
    ):
        assert words in page.text
    assert "ccuracy" not in page.text


def test_the_file_is_replaced_in_one_step(tmp_path: pathlib.Path) -> None:
    (tmp_path / "report.html").write_text("old")
    assert write_report(finished_search(), tmp_path / "report.html") == tmp_path / "report.html"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_browser_draws_every_figure(tmp_path: pathlib.Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here; apt-get install chromium")
    path = write_report(finished_search(name=HOSTILE), tmp_path / "report.html")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [browser, *flags, profile, "--virtual-time-budget=5000", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    drawn = done.stdout[: done.stdout.index('id="figures"')]
    for name in FIGURES:
        assert re.search(
            rf'class="figure[^"]*js-plotly-plot[^"]*" id="{name}"|id="{name}" class="figure[^"]*js-plotly-plot', drawn
        )
    assert "<img src=x" not in drawn
