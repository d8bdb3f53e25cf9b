"""Which files of an hour count, where some were merged into others.

A compacted file names its sources: all files whose rows it holds, those of compacted files that went into it
included. Its sources stay for a while beside it, for those who listed the folder before it was there. So both
lie there, and what counts follows from the names alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Sources = Mapping[str, frozenset[str]]
    """A compacted file's name -> those of its sources."""


def stand_ins(sources: Sources) -> dict[str, str]:
    """Say by which compacted file each source is represented.

    Of two compacted files that have a source in common the one with more sources counts, and the other one
    does not: what it alone holds is found in its sources, which stay until a file that counts holds them.

    >>> stand_ins({"c1": frozenset({"a", "b"}), "c2": frozenset({"a", "b", "late"})})["a"]
    'c2'
    """
    found: dict[str, str] = {}
    for name in sorted(sources, key=lambda name: (-len(sources[name]), name)):
        if found.keys().isdisjoint(sources[name]):
            found |= dict.fromkeys(sources[name], name)
    return found


def superseded(names: Iterable[str], sources: Sources) -> set[str]:
    """Say which files of an hour do not count, since their rows are in others.

    Args:
        names: The files that are there.
        sources: Those of the compacted ones among them.

    >>> sorted(superseded(["a", "b", "new", "c1"], {"c1": frozenset({"a", "b"})}))
    ['a', 'b']
    """
    stands = stand_ins(sources)
    chosen = set(stands.values())
    return {name for name in names if (name not in chosen if name in sources else name in stands)}


def removable(names: Iterable[str], sources: Sources, settled: Iterable[str]) -> set[str]:
    """Say which files of an hour may be deleted.

    Args:
        names: The files that are there.
        sources: Those of the compacted ones among them.
        settled: The compacted files that have been there for so long that no reader uses an older listing.

    Returns:
        Superseded files all of whose rows are in settled files, or in plain ones that count.
    """
    names, settled = set(names), set(settled)
    stands = stand_ins(sources)
    gone = superseded(names, sources)
    plain = names - gone - sources.keys()
    safe = {source for source, name in stands.items() if name in settled} | plain
    return {name for name in gone if sources.get(name, {name}) <= safe}
