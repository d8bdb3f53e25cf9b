"""Tags of the user's own, as `run.register(tags=["commit:a4f9c22", "team=x"])` takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_ifp.core.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterable


def parse_tags(tags: Iterable[str]) -> dict[str, str]:
    """Split each tag at its first `:` or `=`.

    Raises:
        TrainingError: a tag has no name, or begins with `ifp.`, which is ours.

    >>> parse_tags(["commit:a4f9c22", "team=x", "note=a:b", "nightly"])
    {'commit': 'a4f9c22', 'team': 'x', 'note': 'a:b', 'nightly': 'true'}
    """
    if isinstance(tags, str):
        raise TrainingError(f"run.register(tags={tags!r}): expected a list of texts, such as [{tags!r}]")
    parsed = {}
    for tag in tags:
        cuts = [place for place in (tag.find(":"), tag.find("=")) if place >= 0]
        key, value = (tag[: min(cuts)].strip(), tag[min(cuts) + 1 :]) if cuts else (tag.strip(), "true")
        if not key or key.startswith("ifp."):
            raise TrainingError(
                f"run.register: tag {tag!r} needs a name before ':' or '=' that does not begin with 'ifp.'"
            )
        parsed[key] = value.strip()
    return parsed
