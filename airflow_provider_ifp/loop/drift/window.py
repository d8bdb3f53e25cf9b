"""The counts of a window of the prediction log, of which only what is new is read.

A file whose hour lies in the window is counted once per reference, known by its path, size and time of
change; a day's files are merged once more. An hour that the window cuts through is counted anew each time.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyarrow import fs

from airflow_provider_ifp.adapters.data.copies import find_copies
from airflow_provider_ifp.adapters.log.counting import count_log_file
from airflow_provider_ifp.adapters.log.files import list_files, locate
from airflow_provider_ifp.core.errors import DamagedFileError, PredictionLogError
from airflow_provider_ifp.core.profile.parts import Part, merge_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_ifp.adapters.counting.cache import CountCache
    from airflow_provider_ifp.adapters.log.files import LogFile
    from airflow_provider_ifp.core.profile.record import Profile
    from airflow_provider_ifp.core.windows import Window

log = logging.getLogger(__name__)

_FORMAT = "2"
"""Part of every key: another way of counting must not find the counts of this one."""


@dataclass(slots=True)
class LogCounter:
    """Counts windows of one model's log against one reference.

    Attributes:
        root: Path or URI of the log.
        model: The registered model.
        stage: `production`, `shadow` or `replay`.
        profile: The reference's.
        version: Answers are counted in the rows of this version; None: in all.
        cache: Where counted parts are kept.
        skip_unreadable: Leave a damaged file out and name it, instead of failing.
        notes: What was left out, and why, each once.
    """

    root: str
    model: str
    stage: str
    profile: Profile
    cache: CountCache
    skip_unreadable: bool = False
    version: str | None = None
    notes: list[str] = field(default_factory=list)
    _filesystem: fs.FileSystem = field(init=False)
    _reference: str = field(init=False)

    def __post_init__(self) -> None:
        """Find the log.

        Raises:
            PredictionLogError: No name of a model or stage, or no such file system.
        """
        self._filesystem, _ = locate(self.root, self.model, self.stage)
        version = self.version if self.profile.predictions else None
        # Not the digest of the record: to write it takes longer than all else that a check of old rows does.
        self._reference = _digest(self.profile, version)

    def count(self, window: Window) -> Part:
        """Count a window.

        Raises:
            PredictionLogError: No log of this model, or a damaged file that is not to be skipped.
            DatasetError: A feature has values of another kind than the reference's.
        """
        files = self._without_copies(list_files(self.root, self.model, self.stage, window))
        return merge_parts(
            self._count_day(list(of_day), window)
            for _, of_day in itertools.groupby(files, key=lambda file: file.hour.date())
        )

    def note(self, text: str) -> None:
        """Note something that a reader of the check has to know, once."""
        if text not in self.notes:
            log.warning("%s: %s", self.model, text)
            self.notes.append(text)

    def _count_day(self, files: Sequence[LogFile], window: Window) -> Part:
        whole = [file for file in files if _covers(window, file.window)]
        parts = [self._count_cut(file, window) for file in files if file not in whole]
        if len(whole) < len(files) or len(whole) == 1:
            return merge_parts([*parts, *map(self._count_whole, whole)])
        key = self._key(*sorted(self._key_of(file) for file in whole))
        kept = self.cache.get(key)
        if kept is not None:
            return kept
        before = len(self.notes)
        part = merge_parts(map(self._count_whole, whole))
        if len(self.notes) == before:
            self.cache.put(key, part)
        return part

    def _count_whole(self, file: LogFile) -> Part:
        key = self._key_of(file)
        kept = self.cache.get(key)
        if kept is not None:
            return kept
        part, complete = self._count(file, None)
        if complete:
            self.cache.put(key, part)
        return part

    def _count_cut(self, file: LogFile, window: Window) -> Part:
        return self._count(file, window)[0]

    def _count(self, file: LogFile, within: Window | None) -> tuple[Part, bool]:
        """Count a file; False: something was left out, and noted."""
        try:
            part, strays = count_log_file(self.profile, file, self._filesystem, within, self.version)
        except DamagedFileError as error:
            if self._filesystem.get_file_info(file.path).type == fs.FileType.NotFound:
                self.note(f"left out: {file.path} vanished while the log was read")
            elif self.skip_unreadable:
                self.note(f"left out: {error}")
            else:
                raise PredictionLogError(
                    f"prediction log: {error}; or set monitor.unreadable: skip to leave such files out"
                ) from None
            return Part(), False
        if strays:
            self.note(f"left out: {strays:,} rows of {file.path}, whose ts is not of that hour")
        return part, not strays

    def _without_copies(self, files: Sequence[LogFile]) -> Iterator[LogFile]:
        """Leave out a file that has the same bytes as another of its hour: its rows would count twice."""
        for _, group in itertools.groupby(files, key=lambda file: file.hour):
            of_hour = list(group)
            copies = find_copies(self._filesystem, {file.path: file.size for file in of_hour})
            for file in of_hour:
                if file.path in copies:
                    self.note(f"left out: {file.path} is a copy of {copies[file.path]}")
                else:
                    yield file

    def _key_of(self, file: LogFile) -> str:
        return self._key(self.stage, file.path, str(file.size), str(file.changed))

    def _key(self, *parts: str) -> str:
        return _digest(_FORMAT, self._reference, *parts)


def _digest(*parts: object) -> str:
    """Name values whose text says all: the floats of a dataclass stand in it to the last bit."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _covers(window: Window, hour: Window) -> bool:
    after_start = window.start is None or (hour.start is not None and window.start <= hour.start)
    return after_start and hour.end <= window.end
