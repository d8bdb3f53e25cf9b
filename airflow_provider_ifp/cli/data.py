"""`ifp digest`: name a dataset's content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.cli.options import add_json
from airflow_provider_ifp.cli.output import DONE, say, say_json

if TYPE_CHECKING:
    import argparse

    from airflow_provider_ifp.cli.options import Commands


def add_commands(commands: Commands) -> None:
    """Add `digest`."""
    parser = commands.add_parser("digest", help="name a dataset's rows by one digest, whatever their order")
    parser.add_argument(
        "dataset", metavar="DATASET", help="a Parquet or CSV file, a folder of them, or a URI"
    )
    parser.add_argument(
        "--manifest", action="store_true", help="digest names, sizes and versions of the files; read no row"
    )
    add_json(parser)
    parser.set_defaults(command=_digest)


def _digest(options: argparse.Namespace) -> int:
    digested = _of_files(options.dataset) if options.manifest else _of_rows(options.dataset)
    if options.json:
        say_json(digested)
        return DONE
    counted = ", ".join(
        f"{digested[name]:,} {name}" for name in ("rows", "files", "bytes") if digested.get(name) is not None
    )
    say(f"{digested['content_digest']}  {counted}")
    say(digested["source_id"])
    return DONE


def _of_rows(uri: str) -> dict[str, Any]:
    """The digest of all rows by `fp/1`; one batch after the other is held."""
    from airflow_provider_ifp.adapters.data.datasets import open_dataset, source_id
    from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_batches
    from airflow_provider_ifp.adapters.data.scanning import scan_batches

    dataset = open_dataset(uri)
    batches = scan_batches(dataset, columns=dataset.schema.names, where=uri, frugal=True)
    content = fingerprint_batches(batches, dataset.schema)
    return {"content_digest": content.digest, "source_id": source_id(uri), "rows": content.rows}


def _of_files(uri: str) -> dict[str, Any]:
    from airflow_provider_ifp.adapters.data.datasets import source_id
    from airflow_provider_ifp.adapters.data.manifest import manifest_digest

    found = manifest_digest(uri)
    return {
        "content_digest": found.digest,
        "source_id": source_id(uri),
        "rows": None,
        "files": found.files,
        "bytes": found.size,
    }
