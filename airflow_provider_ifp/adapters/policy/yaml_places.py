"""YAML read so that every key knows its line: what PyYAML gives, without its traps.

Against YAML 1.1 as PyYAML reads it: a key that stands twice is an error, not the last one; `on`, `off`, `yes`
and `no` as keys are text; `1e-3` is a number, not text. Only plain data is read; a tag such as
`!!python/name` is refused.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from airflow_provider_ifp.core.policy.types import Path

_PLAIN = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")
)
_BOOL = "tag:yaml.org,2002:bool"
_MERGE = "tag:yaml.org,2002:merge"
_MOST_NODES = 100_000
"""Nested aliases grow without bound; a Dag processor must not hang on one file."""

# The C parser is four times faster; it is missing where PyYAML was built without libyaml.
_Fastest: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Fastest):  # type: ignore[valid-type,misc]  # a base chosen at run time
    """The safe loader, with YAML 1.2's numbers."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a text, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something in a text that is no YAML of ours, at the keys that lead to it."""

    mark: Mark
    path: Path
    message: str


class Document:
    """One YAML document.

    Attributes:
        data: plain data; None for a text without any.
        flaws: what is wrong with it; where there are any, `data` is not whole.
        blank: paths of the keys after which nothing is written, not even `null`.
    """

    def __init__(self, text: bytes) -> None:
        """Read a text; nothing is raised: what is wrong is in `flaws`."""
        self.data: Any = None
        self.flaws: list[Flaw] = []
        self.blank: set[Path] = set()
        self._root: yaml.Node | None = None
        self._open: list[yaml.Node] = []
        self._checked: set[int] = set()
        self._read_so_far = 0
        loader = None
        try:
            loader = _Loader(text)
            self._root = loader.get_single_node()
            self.data = None if self._root is None else self._read(loader, self._root, ())
        except yaml.YAMLError as error:
            self.flaws.append(Flaw(_mark_of(error), (), f"no valid YAML: {_words_of(error)}"))
        except RecursionError:
            self.flaws.append(Flaw(Mark(1, 1), (), "nested too deep to be read"))
        finally:
            if loader is not None:
                loader.dispose()

    def mark_of(self, path: Path) -> Mark:
        """Say where the key at a path stands, or the nearest key above it that there is."""
        node, mark = self._root, Mark(1, 1)
        for part in path:
            found = _step(node, part)
            if found is None:
                break
            key, node = found
            mark = _mark(key)
        return mark

    def _read(self, loader: Any, node: yaml.Node, path: Path) -> Any:
        self._read_so_far += 1
        if self._read_so_far >= _MOST_NODES:
            if self._read_so_far == _MOST_NODES:
                self._note(node, path, f"more than {_MOST_NODES} entries, aliases counted; that is no policy")
            return None
        if any(node is above for above in self._open):
            self._note(node, path, "an alias (*) stands inside what it is an alias of")
            return None
        if node.tag not in _PLAIN:
            self._note(node, path, f"the tag {node.tag} is not read; expected plain YAML")
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._read_mapping(loader, node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self._read(loader, item, (*path, index)) for index, item in enumerate(node.value)]
            return self._read_scalar(loader, node, path)
        finally:
            self._open.pop()

    def _read_scalar(self, loader: Any, node: yaml.Node, path: Path) -> Any:
        if node.tag == "tag:yaml.org,2002:null" and not node.value:
            self.blank.add(path)
        try:
            return loader.construct_object(node)
        except ValueError:  # 2026-02-30 looks like a date
            self._note(
                node, path, f"{node.value!r} looks like a date and is none; put it in quotes if it is text"
            )
            return None

    def _read_mapping(self, loader: Any, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        if id(node) not in self._checked:  # an alias comes here again, merged already
            self._checked.add(id(node))
            self._check_keys(node, path)
            loader.flatten_mapping(node)  # lays what `<<` merges before the mapping's own keys
        return {
            name: self._read(loader, value, (*path, name))
            for key, value in node.value
            if (name := _key_text(key)) is not None
        }

    def _check_keys(self, node: yaml.MappingNode, path: Path) -> None:
        own: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if key.tag == _MERGE:
                continue
            name = _key_text(key)
            if name is None:
                self._note(key, path, "expected text as a key; put it in quotes")
            elif name in own:
                first = _mark(own[name])
                text = f"stands twice, first in line {first.line}; leave one of them out"
                self._note(key, (*path, name), text)
            else:
                own[name] = key

    def _note(self, node: yaml.Node, path: Path, message: str) -> None:
        self.flaws.append(Flaw(_mark(node), path, message))


def _key_text(key: yaml.Node) -> str | None:
    """Read a key as text; None where it is none. `on` and its like are words here, not truth values."""
    if not isinstance(key, yaml.ScalarNode) or key.tag not in ("tag:yaml.org,2002:str", _BOOL):
        return None
    return str(key.value)


def _step(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Go one key or index down: the node to point at, and the value."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and 0 <= part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode):
        found = [(key, value) for key, value in node.value if _key_text(key) == part]
        return found[-1] if found else None  # the mapping's own keys stand after merged ones
    return None


def _mark(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)


def _mark_of(error: yaml.YAMLError) -> Mark:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return Mark(mark.line + 1, mark.column + 1) if mark is not None else Mark(1, 1)


def _words_of(error: yaml.YAMLError) -> str:
    parts = [getattr(error, name, None) for name in ("context", "problem")]
    return ", ".join(str(part) for part in parts if part) or " ".join(str(error).split())
