"""What differs between two records, field by field."""

import pytest

from airflow_provider_ifp.core.registry.comparison import Difference, tree_differences


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ({"x": 1}, {"x": 1}, []),
        ({"x": None}, {}, []),
        ({"x": 1}, {}, [("x", 1, None)]),
        ({}, {"x": {"y": 1}}, [("x", None, {"y": 1})]),
        ({"x": {"y": 1, "z": 2}}, {"x": {"y": 1, "z": 3}}, [("x.z", 2, 3)]),
        ({"d": [{"r": 1}]}, {"d": [{"r": 1}, {"r": 2}]}, [("d[1]", None, {"r": 2})]),
        ({"f": ["a", "b"]}, {"f": ["z", "a", "b"]}, [("f", ["a", "b"], ["z", "a", "b"])]),
        ({"p": ["a==1", "b==1"]}, {"p": ["0==9", "a==1", "b==2"]}, [("p.b", "1", "2"), ("p.0", None, "9")]),
        ({"p": ["a==1"]}, {"p": []}, [("p", {"a": "1"}, [])]),
        ({"x": 1}, {"x": "1"}, [("x", 1, "1")]),
        ({"d": [{"r": 1}]}, {"d": 5}, [("d", [{"r": 1}], 5)]),
        (None, {"x": 1}, [("", None, {"x": 1})]),
    ],
)
def test_only_the_fields_that_differ_are_told_by_their_place(a, b, told):
    assert list(tree_differences(a, b)) == [Difference(*entry) for entry in told]
