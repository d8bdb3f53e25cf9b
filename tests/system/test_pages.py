"""The report pages in a real browser: what a reader meets on a desk and on a phone, by day and by night."""

import json
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from tests.drift_records import draw, errors_of_numbers, record
from tests.evidence import EVIDENCE, calibration

from airflow_provider_ifp.report.demo import demo_page
from airflow_provider_ifp.report.drift import drift_page
from airflow_provider_ifp.report.verdict import verdict_page

CHROMIUM = shutil.which("chromium")
RECORDS = Path(__file__).parents[1] / "unit" / "report"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-quic",
    "--disable-component-update",
    "--disable-sync",
]
PHONE, DESK = 390, 1100
PAGES = ["demo.html", "verdict.html", "calibration.html", "drift.html"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is missing: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    demo = json.loads((RECORDS / "demo.json").read_text())
    verdict = json.loads((RECORDS / "verdict.json").read_text())
    (folder / "demo.html").write_text(demo_page(demo))
    (folder / "verdict.html").write_text(verdict_page(verdict, EVIDENCE))
    (folder / "calibration.html").write_text(verdict_page(verdict, calibration(7)))
    names = (
        "a_name_without_a_blank_" * 5,
        "a name that is much longer than any label has room for",
        *(f"n{at}" for at in range(40)),
    )
    drift = record(
        draw(1, 0.8, names=names, region=("north", "west")),
        names=names,
        notes=["left out: a file"],
        errors=errors_of_numbers(0.5),
    )
    (folder / "drift.html").write_text(drift_page(drift))
    return folder


@pytest.fixture
def visit(browser, folder):
    """Open a page; it may ask for itself and nothing else, and must not complain."""
    pages, requests, complaints = [], [], []

    def visit(name, *, width=DESK, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((folder / name).as_uri())
        pages.append((page, (folder / name).as_uri()))
        return page

    yield visit
    for page, _ in pages:
        page.close()
    assert [url for url in requests if not url.startswith("data:")] == [uri for _, uri in pages]
    assert complaints == []


def luminance(color):
    """Relative luminance of a computed `rgb(r, g, b)` (WCAG 2.2)."""
    channels = [int(part) / 255 for part in color.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """Contrast of two luminances: 1 to 21, 4.5 for text (WCAG 2.2)."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_runs_over_the_edge(visit, name, width):
    page = visit(name, width=width)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = page.locator("svg:visible")
    assert shown.count() >= page.locator("figure").count() > 0
    for index in range(shown.count()):
        assert shown.nth(index).bounding_box()["width"] <= width


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_the_words_in_charts_stay_readable(visit, name):
    page = visit(name, width=PHONE)

    heights = page.evaluate(
        "[...document.querySelectorAll('svg.narrow text')].map(text => text.getBoundingClientRect().height)"
    )
    assert min(heights) >= 10


@pytest.mark.parametrize("name", PAGES)
def test_the_sentence_is_the_first_thing_on_the_page(visit, name):
    page = visit(name)

    first = page.evaluate("document.body.innerText.trim().split('\\n')[0]")
    assert page.locator("h1").count() == 1
    assert first == page.locator("h1").inner_text()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_background_in_both_schemes(visit, name, scheme):
    page = visit(name, scheme=scheme)

    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    colors = page.evaluate(
        "[...new Set([...document.querySelectorAll('h1, h1 *, h2, p, td *, th, dt, dd, caption, small')]"
        ".map(node => getComputedStyle(node).color))]"
    ) + page.evaluate(
        "[...new Set([...document.querySelectorAll('svg text')].map(node => getComputedStyle(node).fill))]"
    )
    contrasts = {color: contrast(paper, luminance(color)) for color in colors}
    assert paper < 0.05 if scheme == "dark" else paper > 0.8
    assert min(contrasts.values()) >= 4.5, contrasts


@pytest.mark.parametrize("name", PAGES)
def test_a_screen_reader_gets_tables_with_heads_and_charts_with_words(visit, name):
    page = visit(name)

    for chart in page.get_by_role("img").all():
        assert chart.locator("title").text_content()
        assert chart.locator("desc").text_content()
    for table in page.get_by_role("table").all():
        assert table.get_by_role("columnheader").count() > 1
        assert table.get_by_role("rowheader").count() == table.locator("tbody tr").count()
