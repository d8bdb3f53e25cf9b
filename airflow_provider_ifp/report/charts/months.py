"""Charts of months: the error line by line, the drift bar by bar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_provider_ifp.report.charts.svg import NARROW, draw_both_sizes
from airflow_provider_ifp.report.markup import Markup, element, render

if TYPE_CHECKING:
    from collections.abc import Sequence

LEFT, RIGHT, TOP, BOTTOM = 40.0, 12.0, 30.0, 28.0
# Pixels that a month of three letters needs, and a feature's name.
LABEL, WORD = 28.0, 44.0
# An axis spans at least this.
TINY = 1e-9
Value = float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where a chart's values lie: `bands` equal columns left to right, 0 to `top` bottom to top; pixels."""

    width: int
    height: int
    bands: int
    top: float

    def x(self, position: float) -> float:
        """Pixel of a position in bands: 0 is the left edge, 0.5 the middle of the first band."""
        return LEFT + position * (self.width - LEFT - RIGHT) / self.bands

    def y(self, value: float) -> float:
        """Pixel of a value."""
        return self.height - BOTTOM - value / self.top * (self.height - TOP - BOTTOM)


def ticks(top: float, about: int = 4) -> list[float]:
    """Round steps from 0 to the first that reaches `top`.

    >>> ticks(16.8), ticks(0.11), ticks(100)
    ([0.0, 5.0, 10.0, 15.0, 20.0], [0.0, 0.05, 0.1, 0.15], [0.0, 25.0, 50.0, 75.0, 100.0])
    """
    rough = max(top, TINY) / about
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(scale * factor for factor in (1, 2, 2.5, 5, 10) if scale * factor >= rough * (1 - 1e-9))
    return [float(f"{step * index:.6g}") for index in range(max(1, math.ceil(top / step - 1e-9)) + 1)]


def draw_lines(
    labels: Sequence[str],
    production: Sequence[Value],
    first: Sequence[Value],
    *,
    marks: Sequence[tuple[float, str]],
    title: str,
    description: str,
) -> Markup:
    """Two series over months: the version in production, and the first version had it stayed.

    Args:
        labels: one for each month.
        production: the metric of the version in production; None where nothing was measured.
        first: the first version's on the same rows; drawn from the month before it differs.
        marks: (position in bands, text): when another version took over.
        title: what the chart shows, for a screen reader.
        description: its message in words.
    """

    def draw(width: int) -> Markup:
        present = [value for value in (*production, *first) if value is not None]
        steps = ticks(max(present, default=0.0) * 1.08)
        frame = Frame(width=width, height=300 if width > NARROW else 260, bands=len(labels), top=steps[-1])
        other = only_where_apart(first, production)
        return render(
            _grid(frame, labels, steps),
            *(_mark(frame, position, text) for position, text in marks),
            _gap(frame, production, other),
            _line(frame, other, "first"),
            _line(frame, production, "production"),
            _values(frame, production, other),
        )

    return draw_both_sizes(draw, title=title, description=description, heights=(300, 260))


def only_where_apart(first: Sequence[Value], production: Sequence[Value]) -> list[Value]:
    """The first version's line where it leaves production's, with the point that it leaves from.

    >>> only_where_apart([5, 6, 9, 9], [5, 6, 4, 4])
    [None, 6, 9, 9]
    """
    apart = [a is not None and a != b for a, b in zip(first, production, strict=True)]
    return [
        value if is_apart or (index + 1 < len(apart) and apart[index + 1]) else None
        for index, (value, is_apart) in enumerate(zip(first, apart, strict=True))
    ]


def draw_bars(
    labels: Sequence[str],
    values: Sequence[Value],
    notes: Sequence[str | None],
    *,
    limit: float,
    title: str,
    description: str,
) -> Markup:
    """One bar a month against a limit.

    Args:
        labels: one for each month.
        values: heights; None where nothing was checked.
        notes: what stands over each bar.
        limit: where the dashed line lies; a bar above it is drawn as an alarm.
        title: what the chart shows, for a screen reader.
        description: its message in words.
    """

    def draw(width: int) -> Markup:
        height = 240 if width > NARROW else 220
        steps = ticks(max([limit, *(value for value in values if value is not None)]) * 1.25)
        frame = Frame(width=width, height=height, bands=len(labels), top=steps[-1])
        half = min(24.0, (frame.x(1) - frame.x(0)) * 0.32)
        bars = [
            _bar(frame, index, value, note, half=half, over=value > limit)
            for index, (value, note) in enumerate(zip(values, notes, strict=True))
            if value is not None
        ]
        line = element(
            "line", x1=LEFT, x2=width - RIGHT, y1=frame.y(limit), y2=frame.y(limit), class_="limit"
        )
        return render(_grid(frame, labels, steps), line, *bars)

    return draw_both_sizes(draw, title=title, description=description, heights=(240, 220))


def _grid(frame: Frame, labels: Sequence[str], steps: Sequence[float]) -> Markup:
    lines = [
        render(
            element(
                "line",
                x1=LEFT,
                x2=float(frame.width - RIGHT),
                y1=frame.y(step),
                y2=frame.y(step),
                class_="axis" if step == 0 else "grid",
            ),
            element("text", f"{step:g}", x=LEFT - 8, y=frame.y(step) + 4, text_anchor="end"),
        )
        for step in steps
    ]
    # Every label where there is room, else every second.
    stride = 1 if frame.x(1) - frame.x(0) >= LABEL else 2
    names = [
        element("text", label, x=frame.x(index + 0.5), y=float(frame.height - 8), text_anchor="middle")
        for index, label in enumerate(labels)
        if index % stride == 0
    ]
    return render(*lines, *names)


def _mark(frame: Frame, position: float, text: str) -> Markup:
    x = frame.x(position)
    right = x > frame.width * 0.6
    return render(
        element("line", x1=x, x2=x, y1=TOP - 14, y2=frame.y(0), class_="mark"),
        element(
            "text",
            text,
            x=x + (-6 if right else 6),
            y=TOP - 8,
            class_="strong",
            text_anchor="end" if right else "start",
        ),
    )


def _line(frame: Frame, values: Sequence[Value], class_: str) -> Markup:
    """Straight lines between neighbouring months; a month without a value breaks the line."""
    points = [(frame.x(i + 0.5), frame.y(v)) if v is not None else None for i, v in enumerate(values)]
    lines = [
        element("line", x1=a[0], y1=a[1], x2=b[0], y2=b[1], class_=class_)
        for a, b in pairwise(points)
        if a is not None and b is not None
    ]
    dots = [
        element("circle", cx=p[0], cy=p[1], r=4.5, class_=f"dot {class_}") for p in points if p is not None
    ]
    return render(*lines, *dots)


def _gap(frame: Frame, production: Sequence[Value], first: Sequence[Value]) -> Markup:
    """The area between the two lines: what the other version would have cost."""
    both = [
        (frame.x(i + 0.5), frame.y(a), frame.y(b))
        for i, (a, b) in enumerate(zip(production, first, strict=True))
        if a is not None and b is not None
    ]
    outline = [(x, y) for x, y, _ in both] + [(x, y) for x, _, y in reversed(both)]
    return element("polygon", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in outline), class_="gap")


def _values(frame: Frame, production: Sequence[Value], first: Sequence[Value]) -> Markup:
    """Each value beside its point, on the side away from the other line."""
    size = "{:.1f}" if frame.top >= 1 else "{:.3f}"
    texts = []
    for index, (value, other) in enumerate(zip(production, first, strict=True)):
        x = frame.x(index + 0.5)
        below = value is not None and other is not None and value < other
        for one, class_, under in ((value, "production", below), (other, "first", not below)):
            if one is None or (class_ == "first" and one == value):
                continue
            y = frame.y(one) + (20 if under else -11)
            texts.append(
                element("text", size.format(one), x=x, y=y, class_=f"value {class_}", text_anchor="middle")
            )
    return render(*texts)


def _bar(frame: Frame, index: int, value: float, note: str | None, *, half: float, over: bool) -> Markup:
    x = frame.x(index + 0.5)
    y = frame.y(value)
    # Where bars stand too close for words, only those over the limit are named.
    tight = frame.x(1) - frame.x(0) < WORD
    text = f"{value:.3f}".removeprefix("0" if tight else "")
    return render(
        element(
            "rect",
            x=x - half,
            y=y,
            width=2 * half,
            height=max(frame.y(0) - y, 1.0),
            rx=2,
            class_="bar over" if over else "bar",
        ),
        element("text", text, x=x, y=y - 6, class_="strong" if over else "value", text_anchor="middle"),
        element("text", note, x=x, y=y - 20, text_anchor="middle") if note and (over or not tight) else None,
    )
