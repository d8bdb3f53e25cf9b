"""What tasks on many machines hand to each other: profiles, and counted parts, as files in a shared folder.

    <folder>/part-<digest of reference and part>.counts     so that a retry writes the same file again
    <folder>/<name>.json                                    a profile, or the answer of a check

The folder is a local path or a URI that `storage.resolve_uri` knows. Files appear whole.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_ifp.adapters.counting.cache import pack_part, unpack_part
from airflow_provider_ifp.adapters.data.storage import first_line, resolve_uri, write_atomically
from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.parts import Part, merge_parts
from airflow_provider_ifp.core.profile.record import Profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_ifp.adapters.counting.window_parts import PartSource


@dataclass(frozen=True, slots=True)
class Written:
    """A file that one task wrote for another: small enough for XCom.

    Attributes:
        path: Path or URI of the file.
        rows: Rows that it was made of.
        reference: Digest of the profile on whose bins it was counted; empty: of none.
    """

    path: str
    rows: int
    reference: str = ""

    @classmethod
    def parse(cls, record: Any) -> Written:
        """Read what another task returned.

        Raises:
            DatasetError: It is something else.
        """
        try:
            return cls(**record)
        except TypeError:
            raise DatasetError(
                "expected what a task of this provider returned, {path, rows, reference}, found "
                f"{record!r}; give its output"
            ) from None


def write_counts(folder: str, profile: Profile, part: PartSource, counted: Part) -> Written:
    """Write a counted part."""
    reference = digest_json(profile.to_json())
    name = digest_json([reference, part.model_dump(mode="json")])
    return Written(
        write_file(folder, f"part-{name[:32]}.counts", pack_part(counted)), counted.rows, reference
    )


def merge_counts(profile: Profile, written: Sequence[Written]) -> Part:
    """Join the counted parts of a window.

    Raises:
        DatasetError: There is none, one stands there twice, was counted on other bins, or is damaged.
    """
    if not written:
        raise DatasetError("there is no part to merge; give the outputs of the tasks that counted them")
    reference = digest_json(profile.to_json())
    for one in written:
        if one.reference != reference:
            raise DatasetError(
                f"{one.path}: counted on another reference: expected {reference}, found "
                f"{one.reference or 'none'}; count all parts on one reference"
            )
    twice = {one.path for one in written if [other.path for other in written].count(one.path) > 1}
    if twice:
        raise DatasetError(
            f"{min(twice)}: the same part is there twice, and its rows would count twice; name each part once"
        )
    return merge_parts(_read_counts(one.path) for one in written)


def read_profile(path: str) -> Profile:
    """Read a profile from its file.

    Raises:
        DatasetError: It is not there, cannot be read, or is no profile.
    """
    content = read_file(path, "`ifp profile DATASET -o FILE` writes one")
    try:
        record = json.loads(content)
    except ValueError as error:
        raise DatasetError(f"{path}: no JSON: {error}; write the profile again") from None
    return Profile.from_json(record, where=path)


def write_json(folder: str, name: str, record: Mapping[str, Any]) -> str:
    """Write a record; returns its path."""
    return write_file(folder, name, json.dumps(record, indent=1).encode())


def write_file(folder: str, name: str, content: bytes) -> str:
    """Write a file that appears whole; returns its path or URI.

    Raises:
        DatasetError: The folder cannot be written to.
    """
    path = f"{folder.rstrip('/')}/{name}"
    filesystem, place = resolve_uri(path)
    try:
        write_atomically(filesystem, place, content)
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} cannot be written: {first_line(error)}; check the folder") from None
    return path


def read_file(path: str, otherwise: str) -> bytes:
    """Read a file; `otherwise` says what to do where that fails.

    Raises:
        DatasetError: It is not there, or cannot be read.
    """
    filesystem, place = resolve_uri(path)
    try:
        with filesystem.open_input_file(place) as source:
            return bytes(source.readall())
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} cannot be read: {first_line(error)}; {otherwise}") from None


def short_name(record: Any) -> str:
    """Return 32 characters that stand for a JSON value, for the names of files."""
    return digest_json(record).removeprefix("sha256:")[:32]


def parse_all(records: Iterable[Any]) -> list[Written]:
    """Read what several tasks returned, as `Written.parse`."""
    return [Written.parse(record) for record in records]


def _read_counts(path: str) -> Part:
    content = read_file(path, "count the part again")
    try:
        return unpack_part(content)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path}: damaged: {error}; count the part again") from None
