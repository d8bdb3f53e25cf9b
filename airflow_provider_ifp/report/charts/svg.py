"""What every chart shares: a drawing in two sizes, with its message in words.

Charts are drawn from values by functions without state, some forty lines each. That is less than a plotting
library: matplotlib is heavy, and follows neither the reader's colour scheme nor the page's fonts. Each chart
is drawn twice, wide and narrow, and the style sheet shows the one that fits: text that shrinks with its
picture cannot be read on a phone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_ifp.report.markup import Markup, element, render

if TYPE_CHECKING:
    from collections.abc import Callable

WIDE, NARROW = 760, 360


def draw_both_sizes(
    draw: Callable[[int], Markup], *, title: str, description: str, heights: tuple[int, int]
) -> Markup:
    """The wide and the narrow drawing, one of which is shown.

    Args:
        draw: from a width in pixels to what stands inside the `svg`.
        title: what the chart shows, for a screen reader.
        description: its message in words.
        heights: pixels of the wide and of the narrow drawing.
    """
    return render(
        *(
            element(
                "svg",
                element("title", title),
                element("desc", description),
                draw(width),
                viewBox=f"0 0 {width} {height}",
                role="img",
                class_=class_,
            )
            for width, height, class_ in ((WIDE, heights[0], "wide"), (NARROW, heights[1], "narrow"))
        )
    )
