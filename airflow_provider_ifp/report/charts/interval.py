"""Paired intervals as horizontal lines around "as production"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_ifp.report.charts.svg import draw_both_sizes
from airflow_provider_ifp.report.markup import Markup, element, render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROW, HEAD, FOOT = 46.0, 34.0, 26.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One interval of candidate - production in the better direction; `needed` is the tolerance."""

    label: str
    low: float
    high: float
    point: float | None
    verdict: str
    text: str


def draw_spans(
    spans: Sequence[Span], *, needed: float | None, needed_text: str, title: str, description: str
) -> Markup:
    """Intervals on one scale, right of zero being better than production.

    Args:
        spans: of one metric; low and high are finite.
        needed: the difference that passes, if there is one.
        needed_text: what stands at it.
        title: what the chart shows, for a screen reader.
        description: its message in words.
    """
    zero = "as production: needed" if needed == 0 else "as production"
    floor = HEAD + ROW * len(spans)
    height = round(floor + FOOT)

    def draw(width: int) -> Markup:
        extremes = [0.0, *(bound for span in spans for bound in (span.low, span.high))]
        extremes += [needed] if needed is not None else []
        low, high = min(extremes), max(extremes)
        pad = (high - low or 1.0) * 0.12

        def x(value: float) -> float:
            return 8 + (value - low + pad) / (high - low + 2 * pad) * (width - 16)

        parts = [
            element("line", x1=x(0), x2=x(0), y1=HEAD - 12, y2=floor, class_="axis"),
            element("text", zero, x=x(0), y=floor + 18, text_anchor=_anchor(x(0), width)),
        ]
        if needed is not None and needed != 0:
            parts += [
                element("line", x1=x(needed), x2=x(needed), y1=HEAD - 12, y2=floor, class_="limit"),
                element(
                    "text",
                    needed_text,
                    x=x(needed),
                    y=14,
                    class_="limit-text",
                    text_anchor=_anchor(x(needed), width),
                ),
            ]
        for index, span in enumerate(spans):
            parts.append(_span(span, x, HEAD + ROW * index + 28, width))
        return render(*parts)

    return draw_both_sizes(draw, title=title, description=description, heights=(height, height))


def _span(span: Span, x: Callable[[float], float], y: float, width: int) -> Markup:
    point = span.point
    middle = (x(span.low) + x(span.high)) / 2
    return render(
        element("line", x1=x(span.low), x2=x(span.high), y1=y, y2=y, class_=f"span {span.verdict}"),
        element("circle", cx=x(point), cy=y, r=5, class_=f"point {span.verdict} dot")
        if point is not None
        else None,
        element(
            "text",
            f"{span.label}: {span.text}",
            x=middle,
            y=y - 12,
            class_="value",
            text_anchor=_anchor(middle, width),
        ),
    )


def _anchor(x: float, width: int) -> str:
    """Text near an edge runs inwards."""
    return "start" if x < width * 0.3 else "end" if x > width * 0.7 else "middle"
