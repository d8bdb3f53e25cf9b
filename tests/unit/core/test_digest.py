import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.core.digest import canonical_json, digest_bytes, digest_json, digest_manifest
from airflow_provider_ifp.core.errors import IfpError

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
SHA = "a" * 64


@given(JSON)
def test_canonical_json_reads_back_as_the_same_value(value):
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(TEXT, JSON, max_size=5), st.randoms())
def test_the_order_of_keys_changes_no_digest(mapping, random):
    items = list(mapping.items())
    random.shuffle(items)
    assert digest_json(dict(items)) == digest_json(mapping)


@pytest.mark.parametrize(
    "pair", [(1, 1.0), (1, True), (0, False), ("1", 1), (None, "null"), ([], {}), ("é", "e\u0301")]
)
def test_values_that_differ_have_digests_that_differ(pair):
    assert digest_json(pair[0]) != digest_json(pair[1])


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_without_a_json_form_is_refused_with_its_place(number):
    with pytest.raises(
        IfpError, match=r"^\$\.train\[1\]\.rate: -?(nan|inf) has no JSON form; expected a finite"
    ):
        canonical_json({"train": [0, {"rate": number}]})


def test_a_key_that_is_no_text_is_refused_since_json_would_write_1_and_text_1_alike():
    with pytest.raises(IfpError, match=r"^\$\.a: key 1 is int; expected text"):
        canonical_json({"a": {1: 2}})


def test_a_type_that_json_lacks_is_refused_by_name():
    with pytest.raises(IfpError, match=r"^\$\.a: set has no JSON form"):
        canonical_json({"a": {1, 2}})


def test_text_that_is_no_valid_unicode_is_refused():
    with pytest.raises(IfpError, match="no valid Unicode"):
        canonical_json("\ud800")


def test_a_digest_is_sha256_of_the_bytes():
    assert digest_json("") == digest_bytes(b'""')
    assert digest_bytes(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_manifest_knows_which_file_has_which_content():
    swapped = digest_manifest({"a": "b" * 64, "b": SHA})
    assert digest_manifest({"b": "b" * 64, "a": SHA}) != swapped
    assert digest_manifest({"a": SHA, "b": "b" * 64}) == digest_manifest({"b": "b" * 64, "a": SHA})


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../up", "a/../../b", "a\\b"])
def test_a_manifest_path_outside_the_folder_is_refused(path):
    with pytest.raises(IfpError, match="no relative POSIX path inside the folder"):
        digest_manifest({path: SHA})


@pytest.mark.parametrize("sha256", ["", "sha256:" + SHA, SHA.upper(), SHA[:-1]])
def test_a_manifest_entry_that_is_no_sha256_is_refused(sha256):
    with pytest.raises(IfpError, match="MLmodel: expected a sha256 of 64 hex digits"):
        digest_manifest({"MLmodel": sha256})
