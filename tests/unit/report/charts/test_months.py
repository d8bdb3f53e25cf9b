import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.report.charts.interval import Span, draw_spans
from airflow_provider_ifp.report.charts.months import draw_bars, draw_lines, only_where_apart, ticks

values = st.one_of(st.none(), st.floats(0, 1e6))
months = st.lists(st.tuples(values, values), min_size=1, max_size=14)


def drawings(markup):
    """The wide and the narrow drawing, as XML."""
    return list(ET.fromstring(f"<both>{markup}</both>"))


def assert_inside(svg):
    """Every coordinate lies within the drawing's own box."""
    _, _, width, height = map(float, svg.get("viewBox").split())
    for part in svg.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(part.get(name, 0)) <= width
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(part.get(name, 0)) <= height


@given(st.floats(1e-9, 1e9))
def test_ticks_begin_at_zero_and_reach_the_top_in_few_equal_steps(top):
    steps = ticks(top)

    assert steps[0] == 0
    assert steps[-1] >= top * (1 - 1e-6)
    assert 2 <= len(steps) <= 6


@given(months)
def test_lines_are_well_formed_and_stay_inside_for_any_months(pairs):
    production, first = zip(*pairs, strict=True)
    labels = ["Jan"] * len(pairs)

    markup = draw_lines(labels, production, first, marks=[(0.0, "version 1")], title="RMSE", description="d")

    for svg in drawings(markup):
        assert_inside(svg)
        assert [svg[0].tag, svg[1].tag] == ["title", "desc"]
        dots = [part for part in svg.iter("circle") if part.get("class") == "dot production"]
        assert len(dots) == sum(value is not None for value in production)


@given(st.lists(values, min_size=1, max_size=14), st.floats(0.001, 1))
def test_a_bar_is_an_alarm_exactly_when_it_is_over_the_limit(heights, limit):
    notes = ["block"] * len(heights)

    markup = draw_bars(["Jan"] * len(heights), heights, notes, limit=limit, title="PSI", description="d")

    for svg in drawings(markup):
        assert_inside(svg)
        bars = [part.get("class") for part in svg.iter("rect")]
        assert bars == ["bar over" if value > limit else "bar" for value in heights if value is not None]


@given(st.floats(-1e3, 1e3), st.floats(0, 1e3), st.one_of(st.none(), st.floats(-10, 10)))
def test_an_interval_lies_right_of_production_exactly_when_it_is_better(low, length, needed):
    span = Span(label="all rows", low=low, high=low + length, point=None, verdict="pass", text="t")

    markup = draw_spans([span], needed=needed, needed_text="needed", title="f1", description="d")

    for svg in drawings(markup):
        assert_inside(svg)
        zero = next(float(p.get("x1")) for p in svg.iter("line") if p.get("class") == "axis")
        start = next(float(p.get("x1")) for p in svg.iter("line") if p.get("class") == "span pass")
        assert start >= zero if low >= 0 else start <= zero


def test_the_first_version_is_drawn_only_from_where_the_lines_part():
    assert only_where_apart([5.0, 6.0, 7.0], [5.0, 6.0, 7.0]) == [None, None, None]
    assert only_where_apart([5.0, None, 7.0], [5.0, None, 4.0]) == [None, None, 7.0]


@pytest.mark.parametrize("hostile", ['<script>alert("x")</script>', "a & b"])
def test_labels_are_escaped(hostile):
    markup = draw_bars([hostile], [0.2], [hostile], limit=0.1, title=hostile, description=hostile)

    assert all(hostile in "".join(svg.itertext()) for svg in drawings(markup))
    assert not re.search(r"<script", markup)
