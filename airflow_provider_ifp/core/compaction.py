"""Which files of an hour count, where some were merged into others.

A compacted file names its sources: all files whose rows it holds, compacted ones that went into it and what
went into those included. Its sources stay beside it for a while, for those who listed the folder before it
was there; what counts follows from the names alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

Sources: TypeAlias = Mapping[str, frozenset[str]]
"""A compacted file's name -> those of its sources."""


def stand_ins(names: Collection[str], sources: Sources) -> dict[str, str]:
    """Say by which compacted file each source is represented.

    Of two compacted files that have a source in common only one counts: the one of whose sources some are
    deleted, since its rows are nowhere else; where that does not tell, the one with more sources.

    Args:
        names: The files that are there.
        sources: Those of the compacted ones among them.

    >>> sources = {"c1": frozenset({"a", "b"}), "c2": frozenset({"a", "b", "c1", "late"})}
    >>> stand_ins({"c1", "c2", "late"}, sources)["a"]
    'c2'
    """
    there = set(names)
    found: dict[str, str] = {}
    for name in sorted(sources, key=lambda name: (sources[name] <= there, -len(sources[name]), name)):
        if found.keys().isdisjoint(sources[name]):
            found |= dict.fromkeys(sources[name], name)
    return found


def superseded(names: Collection[str], sources: Sources) -> set[str]:
    """Say which files of an hour do not count, since their rows are in others; arguments as `stand_ins`.

    >>> sorted(superseded({"a", "b", "new", "c1"}, {"c1": frozenset({"a", "b"})}))
    ['a', 'b']
    """
    stands = stand_ins(names, sources)
    chosen = set(stands.values())
    return {name for name in names if (name not in chosen if name in sources else name in stands)}


def removable(names: Collection[str], sources: Sources, settled: Collection[str]) -> set[str]:
    """Say which files of an hour may be deleted, in any order.

    Args:
        names: The files that are there.
        sources: Those of the compacted ones among them.
        settled: The compacted files that have been there for so long that no reader uses an older listing.

    Returns:
        Compacted files that do not count and whose rows are elsewhere; and sources of settled files, once no
        other compacted file names them, since of two such the deletion could change which one counts.
    """
    stands = stand_ins(names, sources)
    gone = superseded(names, sources)
    plain = set(names) - gone - sources.keys()
    settled = {name for name in stands.values() if name in settled}
    safe = {source for source, name in stands.items() if name in settled} | settled | plain
    useless = {name for name in gone if name in sources}
    named = {source for name in useless for source in sources[name]}
    done = {name for name in gone - useless if stands[name] in settled and name not in named}
    return done | {name for name in useless if sources[name] <= safe}
