"""What a version needs beside this package: found when it is saved, held against what is installed later."""

from __future__ import annotations

import ast
import pickletools
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

OURS: Final = frozenset({"airflow-provider-ifp", "mlflow", "mlflow-skinny", "mlflow-tracing"})
"""What runs a version is the caller's own, whatever the version was saved with."""
FILE: Final = "requirements.txt"


def pinned(names: Iterable[str]) -> list[str]:
    """Pin installed distributions to their versions, in order of their names.

    A CPU build's local version (2.13.0+cpu) is on no index: the public version is what can be installed
    again.
    """
    return [f"{name}=={distribution_version(name).partition('+')[0]}" for name in sorted(set(names))]


def used_by(pickled: bytes, sources: Iterable[str]) -> set[str]:
    """Find the distributions that a pickle and its sources refer to.

    Args:
        pickled: Each text in it that is the name of an imported module counts as one.
        sources: Python files that are stored with it; what they import at any place counts.

    Returns:
        Normalised names, without this package and MLflow.
    """
    named = {
        argument
        for _, argument, _ in pickletools.genops(pickled)
        if isinstance(argument, str) and argument in sys.modules
    }
    for source in sources:
        named |= _imported(Path(source))
    known = packages_distributions()
    tops = {name.partition(".")[0] for name in named}
    found: set[str] = {canonicalize_name(one) for top in tops for one in known.get(top, ())[:1]}
    return found - OURS


def _imported(source: Path) -> set[str]:
    if source.suffix != ".py":
        return set()
    try:
        tree = ast.parse(source.read_bytes())
    except SyntaxError:
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def read_requirements(folder: Path) -> list[Requirement]:
    """Read a model folder's requirements, without what runs it and lines that are no requirement."""
    file = folder / FILE
    if not file.exists():
        return []
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            requirement = Requirement(line.partition(" #")[0].strip())
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) not in OURS:
            found.append(requirement)
    return found


def unmet(requirements: Iterable[Requirement]) -> list[Requirement]:
    """Return those that what is installed here does not meet.

    >>> unmet([Requirement("packaging"), Requirement("packaging<1"), Requirement("no-such-thing==1")])
    [<Requirement('packaging<1')>, <Requirement('no-such-thing==1')>]
    """
    return [one for one in requirements if not _is_met(one)]


def _is_met(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        installed = distribution_version(requirement.name)
    except PackageNotFoundError:
        return False
    # ==2.13.0 accepts 2.13.0+cpu, too.
    return requirement.specifier.contains(installed, prereleases=True)
