"""`fp/1`: a digest of a table's rows that only their values change; and the manifest of a folder of files.

Definition, so that it can be written again elsewhere. All arithmetic is on unsigned 64-bit words and wraps.

1. A value becomes two words, one a lane. Numbers, times and booleans put the same word into both; text and
   bytes hash their 8-byte little-endian words (the last padded with zeros), each mixed with its position,
   summed, plus their length. Missing (null) is no value: it has a pair of words that no number has.
2. A cell is mix(word xor seed), where the column's two seeds are the first 16 bytes of sha256 over the
   canonical JSON of ["fp/1", name, kind]; the lanes use the finalizers of splitmix64 and of moremur.
3. A row adds up its cells lane by lane, and mixes the two sums into 128 bits.
4. Rows are summed modulo 2**128: never XOR, which a row given twice would leave unchanged.
5. The digest is sha256 over the canonical JSON of format, sorted columns with their kinds, number of rows,
   sum.

So the order of rows and of columns, batches, row groups, codecs, dictionary encoding and the width of
integers leave it as it is, while a value, a name, a kind, one row more or one row twice change it. Kinds:
integer, float, boolean, string, binary, decimal, date, time, duration, timestamp (naive), timestamp[utc],
null. A float32 counts as the float64 of the same value; rounding to float32 changes values and so the digest.
1 and 1.0 differ in kind, -0.0 and 0.0 are equal, all NaN are one value, and NaN is not null. Zones do not
matter to an instant, nor do units.

Not a defence against an attacker who chooses rows: the row hash is fast, not cryptographic.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_provider_ifp.adapters.data.row_hash import Lanes, hash_cells, mix, wide_sum
from airflow_provider_ifp.core.digest import canonical_json, digest_json
from airflow_provider_ifp.core.errors import DatasetError, ModelError

FORMAT = "fp/1"
# Rows hashed at a time: their words stay in the processor's second-level cache.
_CHUNK = 32_768


@dataclass(frozen=True, slots=True)
class ContentDigest:
    """What rows amount to: `digest` ("sha256:...") and the number of `rows`."""

    digest: str
    rows: int


class Fingerprint:
    """The `fp/1` digest of a stream of batches, in memory bounded by one batch.

    >>> table = pa.table({"a": [1, 2], "b": ["x", None]})
    >>> whole, halves = Fingerprint(table.schema), Fingerprint(table.schema)
    >>> whole.update(table)
    >>> halves.update(table.slice(1))
    >>> halves.update(table.slice(0, 1))
    >>> whole.digest() == halves.digest()
    True
    """

    def __init__(self, schema: pa.Schema) -> None:
        """Begin with no rows.

        Args:
            schema: Names and types of the columns; batches may order and encode them otherwise.

        Raises:
            DatasetError: A name that is there twice, or a type without a canonical form (nested types).
        """
        self._kinds = _kinds_of(schema)
        self._seeds = {name: _seeds(name, kind) for name, kind in self._kinds.items()}
        self._sum = 0
        self._rows = 0

    def update(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Add rows.

        Raises:
            DatasetError: Columns or kinds other than the schema's.
        """
        if (found := _kinds_of(rows.schema)) != self._kinds:
            raise DatasetError(
                f"fingerprint: expected columns {self._kinds}, found {found}; cast before digesting"
            )
        for batch in rows.to_batches() if isinstance(rows, pa.Table) else [rows]:
            for start in range(0, batch.num_rows, _CHUNK):
                self._add(batch.slice(start, _CHUNK))

    def digest(self) -> ContentDigest:
        """Digest what was added so far."""
        record = {
            "format": FORMAT,
            "columns": sorted(self._kinds.items()),
            "rows": self._rows,
            "sum": f"{self._sum:032x}",
        }
        return ContentDigest(digest_json(record), self._rows)

    def _add(self, batch: pa.RecordBatch) -> None:
        low, high = self._hash(batch)
        self._sum = (self._sum + wide_sum(low) + (wide_sum(high) << 64)) % (1 << 128)
        self._rows += batch.num_rows

    def hash_rows(self, rows: pa.Table) -> NDArray[np.uint64]:
        """Return a hash of each row, shape (rows,): equal rows have equal ones, whatever their encoding.

        Raises:
            DatasetError: As `update`.
        """
        if (found := _kinds_of(rows.schema)) != self._kinds:
            raise DatasetError(f"fingerprint: expected columns {self._kinds}, found {found}")
        hashed = [self._hash(batch)[0] for batch in rows.to_batches(max_chunksize=_CHUNK)]
        return np.concatenate(hashed) if hashed else np.zeros(0, np.uint64)

    def _hash(self, batch: pa.RecordBatch) -> Lanes:
        """Two words a row."""
        sums = (np.zeros(batch.num_rows, np.uint64), np.zeros(batch.num_rows, np.uint64))
        for name, kind in self._kinds.items():
            cells = hash_cells(batch.column(name), kind, self._seeds[name])
            for total, lane in zip(sums, cells, strict=True):
                np.add(total, lane, out=total)
        low = mix(sums[0] + (sums[1] << np.uint64(32) | sums[1] >> np.uint64(32)), 0)
        return low, mix(sums[1] ^ low, 1)


def fingerprint_table(table: pa.Table) -> ContentDigest:
    """Digest a table's rows by `fp/1`; see the module.

    Raises:
        DatasetError: As `Fingerprint`.
    """
    return fingerprint_batches(table.to_batches(), table.schema)


def fingerprint_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> ContentDigest:
    """Digest a stream of batches by `fp/1`; one batch at a time is held.

    Raises:
        DatasetError: As `Fingerprint`.
    """
    fingerprint = Fingerprint(schema)
    for batch in batches:
        fingerprint.update(batch)
    return fingerprint.digest()


def folder_manifest(folder: Path | str) -> dict[str, str]:
    """List the files of a folder with their sha256.

    Returns:
        Relative POSIX path -> sha256 as 64 hex digits, sorted by path; empty folders leave no trace.

    Raises:
        ModelError: No such folder; or a link, socket or device, which may change without the folder changing.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ModelError(f"{root}: no such folder; expected the files of a model")
    manifest: dict[str, str] = {}
    for place, folders, files in os.walk(root):
        for path in [Path(place, name) for name in (*folders, *files)]:
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise ModelError(f"{path}: is a link or no regular file; put the file itself into {root}")
        for path in [Path(place, name) for name in files]:
            with path.open("rb") as stream:
                manifest[path.relative_to(root).as_posix()] = hashlib.file_digest(
                    stream, "sha256"
                ).hexdigest()
    return dict(sorted(manifest.items()))


def _kinds_of(schema: pa.Schema) -> dict[str, str]:
    if len(set(schema.names)) != len(schema.names):
        twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
        raise DatasetError(f"fingerprint: columns named twice: {', '.join(twice)}; rename one of each")
    return {
        field.name: _kind(field.type, field.name) for field in sorted(schema, key=lambda field: field.name)
    }


def _kind(found: pa.DataType, name: str) -> str:
    types = pa.types
    if types.is_dictionary(found):
        return _kind(found.value_type, name)
    if types.is_timestamp(found):
        return "timestamp" if found.tz is None else "timestamp[utc]"
    for kind, tests in _KINDS.items():
        if any(belongs(found) for belongs in tests):
            return kind
    raise DatasetError(
        f"fingerprint: column {name!r} is {found}, which {FORMAT} has no canonical form for; flatten it into "
        "columns, or leave it out"
    )


_KINDS: dict[str, tuple[Callable[[pa.DataType], bool], ...]] = {
    "integer": (pa.types.is_integer,),
    "float": (pa.types.is_floating,),
    "boolean": (pa.types.is_boolean,),
    "string": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    "binary": (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_fixed_size_binary,
        pa.types.is_binary_view,
    ),
    "decimal": (pa.types.is_decimal,),
    "date": (pa.types.is_date,),
    "time": (pa.types.is_time,),
    "duration": (pa.types.is_duration,),
    "null": (pa.types.is_null,),
}


def _seeds(name: str, kind: str) -> Lanes:
    words = np.frombuffer(hashlib.sha256(canonical_json([FORMAT, name, kind])).digest()[:16], dtype="<u8")
    # Arrays of one word, not scalars: NumPy warns when a scalar wraps.
    return words[:1].astype(np.uint64), words[1:].astype(np.uint64)
