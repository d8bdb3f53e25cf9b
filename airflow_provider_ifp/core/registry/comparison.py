"""Compare two records (JSON trees) field by field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which two records differ; None where it is absent."""

    field: str
    a: Any
    b: Any


def tree_differences(a: Any, b: Any, field: str = "") -> Iterator[Difference]:
    """Each field in which two JSON trees differ, in the order of the first.

    Mappings go key by key and lists of mappings place by place; any other list is one value. A list of
    packages (`name==version`) is compared by package: only those that changed differ. A field that is absent
    equals one that is null.

    >>> old = {"seed": 7, "data": [{"rows": 10}], "packages": ["numpy==2.1", "six==1.17"]}
    >>> new = {"seed": 7, "data": [{"rows": 12}], "packages": ["numpy==2.2", "six==1.17"]}
    >>> for difference in tree_differences(old, new):
    ...     print(difference.field, difference.a, difference.b)
    data[0].rows 10 12
    packages.numpy 2.1 2.2
    """
    a, b = _by_package(a), _by_package(b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys([*a, *b]):
            yield from tree_differences(a.get(key), b.get(key), f"{field}.{key}" if field else str(key))
    elif _is_records(a) and _is_records(b):
        for place in range(max(len(a), len(b))):
            left, right = (records[place] if place < len(records) else None for records in (a, b))
            yield from tree_differences(left, right, f"{field}[{place}]")
    elif a != b:
        yield Difference(field, a, b)


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _by_package(value: Any) -> Any:
    """A list of packages as a mapping; anything else as it is."""
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        return value
    named = [_PACKAGE.fullmatch(item) for item in value]
    packages = {match[1]: match[2] for match in named if match}
    return packages if len(packages) == len(value) else value
