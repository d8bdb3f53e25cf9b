"""Tags of the user's own: a name, and what stands after the first ':' or '='."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_ifp.core.errors import TrainingError
from airflow_provider_ifp.training.tags import parse_tags

names = st.text("abcdefgh-_.0", min_size=1)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("commit:a4f9c22", {"commit": "a4f9c22"}),
        ("team=x", {"team": "x"}),
        ("url=https://a.b/c?d=e", {"url": "https://a.b/c?d=e"}),
        ("note:a=b", {"note": "a=b"}),
        ("nightly", {"nightly": "true"}),
        (" team = x y ", {"team": "x y"}),
        ("empty:", {"empty": ""}),
        ("ifp", {"ifp": "true"}),
    ],
)
def test_a_tag_is_cut_at_its_first_colon_or_equals_sign(tag, expected):
    assert parse_tags([tag]) == expected


@given(names, st.sampled_from(":="), st.text())
@settings(deadline=None)
def test_any_value_comes_back_whatever_signs_it_holds(name, sign, value):
    assert parse_tags([f"{name}{sign}{value}"]) == {name: value.strip()}


def test_several_tags_may_come_from_any_iterable_and_the_last_of_a_name_counts():
    assert parse_tags(iter(["team:x", "a:1", "team:y"])) == {"team": "y", "a": "1"}
    assert parse_tags([]) == {}


@pytest.mark.parametrize("tag", ["", ":a", "=a", "  :a", "ifp.seed:7", "ifp.nonce", " ifp.seed:7"])
def test_a_tag_without_a_name_or_with_one_of_ours_is_refused(tag):
    with pytest.raises(TrainingError) as caught:
        parse_tags(["team:x", tag])
    assert repr(tag) in str(caught.value)
    assert "does not begin with 'ifp.'" in str(caught.value)


def test_one_text_is_no_list_of_tags():
    with pytest.raises(TrainingError, match=r"expected a list of texts, such as \['commit:a4f9c22'\]"):
        parse_tags("commit:a4f9c22")
