"""Find files that have the same bytes as another one: their rows would count twice."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyarrow import fs


def find_copies(filesystem: fs.FileSystem, sizes: Mapping[str, int]) -> dict[str, str]:
    """Compare the files that have the same size.

    Args:
        filesystem: Where they are.
        sizes: Path -> bytes.

    Returns:
        A copy's path -> that of the first file, by path, that has its bytes. What cannot be read is no copy.
    """
    often = Counter(sizes.values())
    first: dict[str, str] = {}
    copies = {}
    for path in sorted(path for path, size in sizes.items() if often[size] > 1):
        content = _digest(filesystem, path)
        if content is not None and first.setdefault(content, path) != path:
            copies[path] = first[content]
    return copies


def _digest(filesystem: fs.FileSystem, path: str) -> str | None:
    try:
        with filesystem.open_input_stream(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
