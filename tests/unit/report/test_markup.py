from html import unescape
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.report.markup import element, render

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


class Seen(HTMLParser):
    """What a parser makes of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.update(attrs)

    def handle_data(self, data):
        self.text += data


@given(texts, texts)
def test_text_and_attributes_come_back_as_they_were_and_add_no_element(text, attribute):
    seen = Seen()
    seen.feed(element("p", text, title=attribute))
    seen.close()

    assert seen.tags == ["p"]
    assert seen.text == text
    assert seen.attributes == {"title": attribute}


@given(texts)
def test_what_is_markup_already_is_not_escaped_twice(text):
    once = render(text)

    assert render(once) == once
    assert unescape(once) == text
