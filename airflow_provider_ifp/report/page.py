"""The page around a record: one file that asks for nothing from anywhere.

The content policy in its head allows the one style sheet, by its sha256, and nothing else: no script, no
request, no inline style. So a page that is opened in five years, offline, or inside MLflow's artifact view,
looks as it did.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from airflow_provider_ifp.report.markup import Child, Markup, element, render
from airflow_provider_ifp.report.wording import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

MARKS = {
    "pass": ("pass", "✓ pass"),
    "fail": ("fail", "✕ fail"),
    "inconclusive": ("inconclusive", "? inconclusive"),
    "stable": ("pass", "✓ stable"),
    "drifted": ("fail", "✕ drifted"),
    "undecided": ("inconclusive", "? undecided"),
}


@cache
def style_sheet() -> str:
    """The style sheet that every page carries."""
    return (files(__package__) / "page.css").read_text(encoding="utf-8")


def write_page(*, title: str, sentence: Markup, body: Sequence[Child]) -> str:
    """A whole HTML document whose first words are its sentence.

    Args:
        title: what a browser's tab shows.
        sentence: the answer, in one or two sentences; becomes the page's only `h1`.
        body: what follows.
    """
    style = style_sheet()
    permitted = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content=f"default-src 'none'; img-src data:; style-src 'sha256-{permitted}'",
        ),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Markup(style)),
    )
    main = element("main", element("h1", sentence), *body)
    return f"<!doctype html>\n{element('html', head, element('body', main), lang='en')}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A table's column: `spare` ones give way on a phone, `long` ones hold sentences."""

    name: str
    kind: Literal["text", "number", "long", "verdict"] = "text"
    spare: bool = False

    @property
    def class_(self) -> str | None:
        """The column's classes in the style sheet."""
        words = [self.kind] if self.kind != "text" else []
        return " ".join([*words, "spare"] if self.spare else words) or None


def draw_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Child]],
    *,
    caption: str,
    narrow: Literal["stacked", "compact"],
    row_classes: Sequence[str | None] | None = None,
) -> Markup:
    """A table whose first column heads its rows.

    Args:
        columns: names and kinds, in order.
        rows: cells, as many in each row as there are columns.
        caption: what the table holds, in words.
        narrow: on a phone, `stacked` shows each row as a card, `compact` leaves spare columns out.
        row_classes: a class for each row, or None.
    """
    head = element("tr", *(element("th", c.name, scope="col", class_=c.class_) for c in columns))
    body = [
        element("tr", _head_cell(columns[0], row[0]), *map(_cell, columns[1:], row[1:]), class_=class_)
        for row, class_ in zip(rows, row_classes or [None] * len(rows), strict=True)
    ]
    table = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
        class_=narrow,
    )
    # A region that scrolls must be reachable by keyboard, and say what it is.
    return element("div", table, class_="scroll", role="region", aria_label=caption, tabindex="0")


def _head_cell(column: Column, child: Child) -> Markup:
    return element("th", child, scope="row", class_=column.class_)


def _cell(column: Column, child: Child) -> Markup:
    # On a phone the cell of a stacked table is a grid of label and content: the content must be one item.
    words = [column.class_, "nothing" if child == NONE else None]
    class_ = " ".join(word for word in words if word) or None
    return element("td", element("span", child), class_=class_, data_label=column.name)


def list_facts(facts: Sequence[tuple[str, Child]]) -> Markup:
    """Names and values, where there is a value."""
    return element(
        "dl",
        *(render(element("dt", name), element("dd", value)) for name, value in facts if value is not None),
    )


def mark_verdict(verdict: str) -> Markup:
    """A verdict as a sign, a word and a colour: never by colour alone."""
    class_, text = MARKS[verdict]
    return element("span", text, class_=class_)


def code(text: str | None) -> Markup | None:
    """Digests, paths: what is copied and pasted."""
    return element("code", text) if text is not None else None
