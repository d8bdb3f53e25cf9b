"""By how much production was wrong in a window of the log, as far as the truth is known.

Held against its errors on the holdout, beside the drift check: shown, and deciding nothing. Labels beside the
log are joined once per day of files, and the counts kept; those in `data.source` are read and joined at each
check.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.log.files import has_labels, list_files, list_label_files
from airflow_provider_ifp.adapters.log.labels import errors_of, find_labels
from airflow_provider_ifp.adapters.log.predictions import read_log
from airflow_provider_ifp.core.drift.check import check_drift
from airflow_provider_ifp.core.drift.record import Compared
from airflow_provider_ifp.core.drift.rule import Rule
from airflow_provider_ifp.core.profile.parts import Part, merge_parts
from airflow_provider_ifp.core.profile.record import ERROR, Profile
from airflow_provider_ifp.core.windows import Window, calendar_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_ifp.adapters.counting.cache import CountCache
    from airflow_provider_ifp.adapters.log.answer_errors import ErrorKind
    from airflow_provider_ifp.adapters.log.labels import Labels
    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.policy.model import Policy

_STAGE: Final = "production"
_FORMAT: Final = "1"
_HOURLY: Final = timedelta(days=2)


def profile_of_errors(reference: Profile) -> Profile | None:
    """The errors on the holdout alone; None where the reference has none."""
    errors = tuple(one for one in reference.predictions if one.name == ERROR)
    return Profile((), reference.rows, errors) if errors else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCounter:
    """Counts production's errors on the bins of those that it made on the holdout.

    Attributes:
        policy: The model's; its `data` says where labels are that do not lie beside the log.
        root: Path or URI of the log.
        features: What the log has besides its own columns.
        profile: Of the errors on the holdout alone.
        version: The version in production; only its own answers count.
        cache: Where counted days are kept.
        connect: As for `adapters.sources.open_source`.
    """

    policy: Policy
    root: str
    features: tuple[str, ...]
    profile: Profile
    version: str
    cache: CountCache
    connect: Connect | None = None

    @property
    def keeps(self) -> bool:
        """Whether what is counted is kept: labels lie beside the log."""
        return has_labels(self.root, self.policy.model)

    def compare(self, window: Window, rule: Rule) -> Compared | None:
        """Hold a window's errors against the holdout's; None where no label of it is known yet.

        Raises:
            DatasetError: Labels cannot be read, or not be compared with the answers.
            PredictionLogError: The log cannot be read.
        """
        blocks = [(block, part) for block, part in self._count(window) if part.rows]
        if not blocks:
            return None
        whole = merge_parts(part for _, part in blocks)
        plain = Rule(methods=rule.methods, correction=rule.correction, min_rows=rule.min_rows)
        return Compared(
            check=check_drift(self.profile, whole.counts, plain),
            profile=self.profile,
            counts=whole.counts,
            blocks=[(block, part.counts) for block, part in blocks],
        )

    def _count(self, window: Window) -> Iterable[tuple[Window, Part]]:
        if self.keeps:
            return [(block, self._count_beside(block)) for block in _blocks(window)]
        labels = self._find(window)
        if not labels.table.num_rows:
            return []
        return [(block, self._join(block, labels)) for block in _blocks(window)]

    def _count_beside(self, block: Window) -> Part:
        """Count a block whose labels lie beside the log: again only when a file of it has changed."""
        model = self.policy.model
        labels = [(info.path, info.size, info.mtime_ns) for info in list_label_files(self.root, model, block)]
        if not labels:
            return Part()
        files = list_files(self.root, model, _STAGE, block)
        named = repr((_FORMAT, self.profile, self.version, block, files, labels))
        key = hashlib.sha256(named.encode()).hexdigest()
        kept = self.cache.get(key)
        if kept is None:
            kept = self._join(block, self._find(block))
            self.cache.put(key, kept)
        return kept

    def _find(self, window: Window) -> Labels:
        return find_labels(self.policy, self.root, window, features=self.features, connect=self.connect)

    def _join(self, block: Window, labels: Labels) -> Part:
        """Count the labelled rows of a block that production itself answered."""
        named = list(dict.fromkeys([*labels.log_columns, "model_version"]))
        model = self.policy.model
        rows = read_log(self.root, model, _STAGE, block, labels.features, log_columns=named)
        if not rows.num_rows:
            return Part()
        rows = rows.filter(pc.equal(rows["model_version"], self.version))
        kind: ErrorKind = "category" if self.profile.measured[0].kind == "category" else "number"
        known = errors_of(rows, labels, kind).drop_null()
        counts = count_batches(self.profile, pa.table({ERROR: known}).to_batches())
        return Part(len(known), counts)


def _blocks(window: Window) -> list[Window]:
    """The days of a window; a short one whole, since labels lie by days."""
    if window.start is not None and window.end - window.start <= _HOURLY:
        return [window]
    return calendar_blocks(window)
