"""A feature's bins: two bars each, of the reference and of the current window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_ifp.report.charts.svg import NARROW, draw_both_sizes
from airflow_provider_ifp.report.markup import Markup, element, render

if TYPE_CHECKING:
    from collections.abc import Sequence

ROW, BAR, HEAD = 26.0, 8.0, 6.0
VALUES = 104.0
# Pixels of a character of the label's text, on the safe side.
CHARACTER = 6.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One bin: what part of all rows fell into it."""

    label: str
    reference: float | None
    current: float

    @property
    def larger(self) -> float:
        """The longer bar's."""
        return self.current if self.reference is None else max(self.reference, self.current)


def draw_shares(shares: Sequence[Share], *, title: str, description: str, between: str = " → ") -> Markup:
    """One row a bin: its name, its share before above its share now, both in per cent.

    Args:
        shares: in the order in which they are read.
        title: what the chart shows, for a screen reader.
        description: its message in words.
        between: what stands between the two in writing.
    """
    largest = max((one.larger for one in shares), default=0.0) or 1.0
    height = round(HEAD * 2 + ROW * len(shares))

    def draw(width: int) -> Markup:
        names = 108.0 if width <= NARROW else 220.0
        scale = (width - names - VALUES) / largest
        return render(
            *(row(one, HEAD + ROW * place, names, scale, width) for place, one in enumerate(shares))
        )

    def row(share: Share, y: float, names: float, scale: float, width: int) -> Markup:
        written = [f"{value:.1%}" for value in (share.reference, share.current) if value is not None]
        return render(
            element("text", shorten(share.label, names - 10), x=names - 8, y=y + 14, text_anchor="end"),
            None if share.reference is None else _bar(share.reference * scale, names, y + 2, "bar"),
            _bar(share.current * scale, names, y + 2 + BAR + 1, "bar now"),
            element(
                "text",
                between.join(written),
                x=float(width),
                y=y + 14,
                class_="value",
                text_anchor="end",
            ),
        )

    return draw_both_sizes(draw, title=title, description=description, heights=(height, height))


def _bar(width: float, x: float, y: float, class_: str) -> Markup:
    return element("rect", x=x, y=y, width=max(width, 0.5), height=BAR, rx=1.5, class_=class_)


def shorten(text: str, room: float) -> str:
    """As much of a name as fits into so many pixels.

    >>> shorten("a rather long name", 60)
    'a rather…'
    """
    fits = int(room / CHARACTER)
    return text if len(text) <= fits else f"{text[: max(fits - 1, 1)].rstrip()}…"
