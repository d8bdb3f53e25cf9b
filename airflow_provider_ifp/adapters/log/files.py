"""Where the files of the prediction log lie, and which of them a window touches.

One listing for the days and one for each day; no file is opened, but for the footer of a compacted file that
has company, since it tells which files do not count (adapters/log/compacted.py).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from pyarrow import fs

from airflow_provider_ifp.adapters.data.storage import first_line, resolve_uri
from airflow_provider_ifp.adapters.log.compacted import superseded_paths
from airflow_provider_ifp.core.errors import DatasetError, DatasetUnreachableError, PredictionLogError
from airflow_provider_ifp.core.windows import Window

STAGES = ("production", "shadow", "replay")
_MODEL = re.compile(r"[A-Za-z0-9_-]+")
_AN_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file of the log.

    Attributes:
        path: On the log's file system.
        hour: When the hour of its folder begins, UTC.
        size: In bytes.
        changed: When it was last written, in nanoseconds since 1970; 0 where the store does not say.
    """

    path: str
    hour: datetime
    size: int
    changed: int

    @property
    def window(self) -> Window:
        """The hour whose rows it holds."""
        return Window(self.hour, self.hour + _AN_HOUR)


def describe_search(root: str, model: str, stage: str, window: Window) -> str:
    """Say where a window's rows were looked for, and which days there are: for messages when none was found.

    Raises:
        PredictionLogError: No log of this model.
    """
    filesystem, folder = locate(root, model, stage)
    days = sorted(_list_days(filesystem, folder, root, model))
    found = f"the days there are {days[0]} to {days[-1]}" if days else "no day is there"
    return f"{folder} in the window {window}; {found}"


def locate(root: str, model: str, stage: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a log, and the folder of a model's stage on it.

    Raises:
        PredictionLogError: No name of a model or of a stage, or no such file system.
        DatasetUnreachableError: The store does not answer.
    """
    if stage not in STAGES:
        raise PredictionLogError(f"prediction log: stage {stage!r}: expected one of {', '.join(STAGES)}")
    filesystem, folder = _locate_model(root, model)
    return filesystem, f"{folder}/stage={stage}"


def locate_labels(root: str, model: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a log, and the folder of a model's labels on it.

    Raises:
        PredictionLogError: No name of a model, or no such file system.
    """
    filesystem, folder = _locate_model(root, model)
    return filesystem, f"{folder}/labels"


def has_labels(root: str, model: str) -> bool:
    """Say whether there is a folder of labels beside a model's log.

    Raises:
        PredictionLogError: No name of a model, or a store that does not answer.
    """
    return _is_folder(*locate_labels(root, model))


def has_log(root: str, model: str) -> bool:
    """Say whether anything of a model was logged yet.

    Raises:
        PredictionLogError: No name of a model, or a store that does not answer.
    """
    return _is_folder(*_locate_model(root, model))


def _is_folder(filesystem: fs.FileSystem, folder: str) -> bool:
    try:
        return bool(filesystem.get_file_info(folder).type == fs.FileType.Directory)
    except OSError as error:
        raise PredictionLogError(f"prediction log: {folder} cannot be listed: {first_line(error)}") from None


def list_files(root: str, model: str, stage: str, window: Window) -> list[LogFile]:
    """List the files of the hours that the window touches, in the order of hours and names.

    Files whose rows are in a compacted file, which is there too, are left out.

    Raises:
        PredictionLogError: No log of this model, or a store that cannot be listed.
    """
    filesystem, folder = locate(root, model, stage)
    last = window.end - timedelta(microseconds=1)
    files = []
    for day, info in _list_days_within(filesystem, folder, root, model, window):
        found = re.search(r"/hour=([01][0-9]|2[0-3])/", info.path)
        if found is None:
            continue
        hour = datetime.combine(day, time(int(found[1])), UTC)
        if hour <= last and (window.start is None or hour + _AN_HOUR > window.start):
            files.append(LogFile(info.path, hour, info.size, info.mtime_ns or 0))
    merged = superseded_paths(filesystem, [file.path for file in files])
    return sorted((file for file in files if file.path not in merged), key=lambda file: file.path)


def list_stages(root: str, model: str | None = None) -> tuple[fs.FileSystem, list[str]]:
    """List the folders of stages under a root: of all models, or of one.

    Raises:
        PredictionLogError: There is no log, no log of that model, or a store that cannot be listed.
        DatasetUnreachableError: The store does not answer.
    """
    try:
        filesystem, path = resolve_uri(root)
        models = [f"{path}/model={model}"] if model else _subfolders(filesystem, path, "model=")
        found = [
            folder
            for one in models
            for folder in _subfolders(filesystem, one, "stage=")
            if folder.rpartition("=")[2] in STAGES
        ]
    except DatasetUnreachableError:
        raise
    except (DatasetError, OSError) as error:
        raise PredictionLogError(f"prediction log: {root} cannot be listed: {first_line(error)}") from None
    if not found:
        where = f"model={model}/stage=" if model else "model=*/stage="
        raise PredictionLogError(f"prediction log: {root} has no folder {where}...; name the log's root")
    return filesystem, sorted(found)


def list_days(filesystem: fs.FileSystem, folder: str) -> dict[date, str]:
    """Find the day folders of a stage, or of labels.

    Raises:
        OSError: It cannot be listed.
    """
    days = {}
    for path in _subfolders(filesystem, folder, "date="):
        day = re.fullmatch(r"date=(\d{4}-\d\d-\d\d)", path.rpartition("/")[2])
        if day is not None:
            days[date.fromisoformat(day[1])] = path
    return days


def list_label_files(root: str, model: str, window: Window) -> list[fs.FileInfo]:
    """List the files of labels of the requests of the days that the window touches, in the order of paths.

    Raises:
        PredictionLogError: No log of this model, or a store that cannot be listed.
    """
    filesystem, folder = locate_labels(root, model)
    found = [info for _, info in _list_days_within(filesystem, folder, root, model, window)]
    return sorted(found, key=lambda info: info.path)


def is_whole(info: fs.FileInfo) -> bool:
    """Whether this is a file that counts, and not one that is being written."""
    is_shown = info.type == fs.FileType.File and not info.base_name.startswith((".", "_"))
    return bool(is_shown and info.path.endswith(".parquet"))


def _locate_model(root: str, model: str) -> tuple[fs.FileSystem, str]:
    if not _MODEL.fullmatch(model):
        raise PredictionLogError(f"prediction log: model {model!r}: expected letters, digits, _ and - only")
    try:
        filesystem, path = resolve_uri(root)
    except DatasetUnreachableError as error:
        raise DatasetUnreachableError(f"prediction log: {error}") from None
    except DatasetError as error:
        raise PredictionLogError(f"prediction log: {error}") from None
    return filesystem, f"{path}/model={model}"


def _list_days_within(
    filesystem: fs.FileSystem, folder: str, root: str, model: str, window: Window
) -> Iterator[tuple[date, fs.FileInfo]]:
    """Find the whole Parquet files in the folders of the window's days."""
    last = (window.end - timedelta(microseconds=1)).date()
    for day, place in sorted(_list_days(filesystem, folder, root, model).items()):
        if day > last or (window.start is not None and day < window.start.date()):
            continue
        for info in filesystem.get_file_info(fs.FileSelector(place, recursive=True, allow_not_found=True)):
            if is_whole(info):
                yield day, info


def _list_days(filesystem: fs.FileSystem, folder: str, root: str, model: str) -> dict[date, str]:
    """Find the day folders of a stage; a model that has a log but nothing at this stage has none."""
    parent = folder.rpartition("/")[0]
    try:
        if filesystem.get_file_info(parent).type != fs.FileType.Directory:
            raise PredictionLogError(
                f"prediction log: {root} has no folder model={model} (looked for {parent}); let serving "
                "write there, or name the log's root in monitor.predictions (else [ifp] predictions)"
            )
        return list_days(filesystem, folder)
    except OSError as error:
        raise PredictionLogError(f"prediction log: {parent} cannot be listed: {first_line(error)}") from None


def _subfolders(filesystem: fs.FileSystem, folder: str, prefix: str) -> list[str]:
    return [
        info.path
        for info in filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        if info.type == fs.FileType.Directory and info.base_name.startswith(prefix)
    ]
