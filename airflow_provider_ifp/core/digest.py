"""Digests: sha256 over one canonical form, so that equal content has one name.

Whatever is digested as JSON goes through `canonical_json`: sorted keys, no spaces, UTF-8, no NaN. A folder of
files is digested by its manifest (path -> sha256), which `adapters.data.fingerprint` reads.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping

from airflow_provider_ifp.core.errors import IfpError

_SHA256_HEX = re.compile(r"[0-9a-f]{64}")


def canonical_json(value: object) -> bytes:
    """Write a JSON value as the one byte string that stands for it.

    Args:
        value: `None`, booleans, integers, finite floats, text, and lists, tuples and mappings of these. A
            tuple is written as a list; 1 and 1.0 stay different, as they do in Python's own JSON.

    Raises:
        IfpError: NaN, infinity, a key that is no text, or a type that JSON does not have; the message says
            where.

    >>> canonical_json({"b": [1, 2.5], "a": "é"}).decode()
    '{"a":"é","b":[1,2.5]}'
    >>> canonical_json({"params": {"rate": float("nan")}})
    Traceback (most recent call last):
    airflow_provider_ifp.core.errors.IfpError: $.params.rate: nan has no JSON form; expected a finite number
    """
    _require_json(value, "$")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise IfpError(f"$: text that is no valid Unicode cannot be digested: {error}") from None


def digest_bytes(content: bytes) -> str:
    """Name a byte string by its sha256.

    >>> digest_bytes(b"")
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    return "sha256:" + hashlib.sha256(content).hexdigest()


def digest_json(value: object) -> str:
    """Name a JSON value by the sha256 of its canonical form; the order of keys does not matter.

    >>> digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})
    True

    Raises:
        IfpError: As `canonical_json`.
    """
    return digest_bytes(canonical_json(value))


def digest_manifest(entries: Mapping[str, str]) -> str:
    """Name a folder's content by its manifest.

    Args:
        entries: Relative POSIX path of each file -> sha256 of its bytes, 64 hex digits.

    Raises:
        IfpError: A path that leaves the folder, or a value that is no sha256.

    >>> digest_manifest({"MLmodel": "0" * 64})[:14]
    'sha256:0ac5d3e'
    """
    for path, sha256 in entries.items():
        if not path or path.startswith("/") or "\\" in path or ".." in path.split("/"):
            raise IfpError(f"manifest: {path!r} is no relative POSIX path inside the folder")
        if not _SHA256_HEX.fullmatch(sha256):
            raise IfpError(f"manifest: {path}: expected a sha256 of 64 hex digits, found {sha256!r}")
    return digest_json(dict(entries))


def file_changes(registered: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Each file in which two manifests differ, in words, in the order of the paths.

    >>> file_changes({"MLmodel": "a", "w.bin": "b", "x": "c"}, {"MLmodel": "a", "w.bin": "d", "y": "e"})
    ['file w.bin was changed', 'file x was removed', 'file y was added']
    """
    changes = []
    for path in sorted(registered.keys() | found.keys()):
        if path not in found:
            changes.append(f"file {path} was removed")
        elif path not in registered:
            changes.append(f"file {path} was added")
        elif registered[path] != found[path]:
            changes.append(f"file {path} was changed")
    return changes


def _require_json(value: object, where: str) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                # json.dumps would write 1 and "1" alike: two values, one digest.
                raise IfpError(f"{where}: key {key!r} is {_kind(key)}; expected text")
            _require_json(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _require_json(item, f"{where}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise IfpError(f"{where}: {value} has no JSON form; expected a finite number")
    elif value is not None and not isinstance(value, str | int | float):
        raise IfpError(f"{where}: {_kind(value)} has no JSON form; expected text, number, list or mapping")


def _kind(value: object) -> str:
    return type(value).__name__
