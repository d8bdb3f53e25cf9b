"""HTML and SVG from nested calls, where escaping cannot be forgotten.

A template engine escapes where somebody switched it on. Here a plain `str` is always escaped, and only
`element` makes the `Markup` that is not; so a model named `<script>` stays a name. Thirty lines did not earn
a dependency on Jinja.
"""

from __future__ import annotations

from html import escape

VOID = frozenset({"meta", "link", "br", "hr"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | None


def render(*children: Child) -> Markup:
    """Join children, escaping those that are plain text; None leaves nothing.

    >>> render("a < b", Markup("<br>"), None)
    'a &lt; b<br>'
    """
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(child) for child in children if child is not None
        )
    )


def element(name: str, /, *children: Child, **attributes: str | float | None) -> Markup:
    """One element. `class_` is `class`, underscores become hyphens, an attribute that is None is left out.

    >>> element("p", "1 < 2", class_="small", data_label='"x"')
    '<p class="small" data-label="&quot;x&quot;">1 &lt; 2</p>'
    >>> element("meta", charset="utf-8")
    '<meta charset="utf-8">'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{render(*children)}</{name}>")


def _text(value: str | float) -> str:
    """Coordinates need a tenth of a pixel, no more."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
