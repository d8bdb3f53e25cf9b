"""A value through time, against a limit: small, so that several stand below each other."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_provider_ifp.report.charts.months import Frame, ticks
from airflow_provider_ifp.report.charts.svg import draw_both_sizes
from airflow_provider_ifp.report.markup import Markup, element, render

if TYPE_CHECKING:
    from collections.abc import Sequence

HEIGHT = 130
LEFT, RIGHT = 40.0, 12.0


def draw_trend(
    labels: Sequence[str],
    values: Sequence[float | None],
    *,
    limit: float | None,
    title: str,
    description: str,
) -> Markup:
    """A line through the values of consecutive blocks of time.

    Args:
        labels: one for each block; the first and the last are written.
        values: None where a block has none: the line breaks there.
        limit: where the dashed line lies; None: there is none.
        title: what the chart shows, for a screen reader.
        description: its message in words.
    """

    def draw(width: int) -> Markup:
        present = [value for value in (*values, limit) if value is not None]
        steps = ticks(max(present, default=0.0) * 1.1, about=2)
        frame = Frame(width=width, height=HEIGHT, bands=max(len(labels), 1), top=steps[-1])
        return render(
            *(_step(frame, step) for step in steps),
            *_ends(frame, labels),
            _limit(frame, limit),
            *_line(frame, values),
        )

    return draw_both_sizes(draw, title=title, description=description, heights=(HEIGHT, HEIGHT))


def _step(frame: Frame, step: float) -> Markup:
    y = frame.y(step)
    return render(
        element("line", x1=LEFT, x2=frame.width - RIGHT, y1=y, y2=y, class_="grid" if step else "axis"),
        element("text", f"{step:g}", x=LEFT - 8, y=y + 4, text_anchor="end"),
    )


def _ends(frame: Frame, labels: Sequence[str]) -> list[Markup]:
    ends = [(0, "start", LEFT), (len(labels) - 1, "end", frame.width - RIGHT)][: len(labels)]
    return [
        element("text", labels[place], x=x, y=float(frame.height - 8), text_anchor=anchor)
        for place, anchor, x in ends
    ]


def _limit(frame: Frame, limit: float | None) -> Markup | None:
    if limit is None:
        return None
    y = frame.y(limit)
    return element("line", x1=LEFT, x2=frame.width - RIGHT, y1=y, y2=y, class_="limit")


def _line(frame: Frame, values: Sequence[float | None]) -> list[Markup]:
    points = [None if one is None else (frame.x(at + 0.5), frame.y(one)) for at, one in enumerate(values)]
    lines = [
        element("line", x1=a[0], y1=a[1], x2=b[0], y2=b[1], class_="production")
        for a, b in pairwise(points)
        if a is not None and b is not None
    ]
    dots = [
        element("circle", cx=point[0], cy=point[1], r=2.5, class_="dot production")
        for point in points
        if point is not None
    ]
    return [*lines, *dots]
