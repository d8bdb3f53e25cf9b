"""Names that modules bore before they got rooms (commit cbf2ea4), so that what is stored still finds them.

A pickled model names classes and functions by their module, and the sources beside it import by name; neither
is ever changed. A former name gives what stands at today's; nothing is loaded before it is asked for.
"""

from __future__ import annotations

from functools import cache, partial
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

_PACKAGE: Final = "airflow_provider_ifp"
# Room -> the modules that moved into it from above: `former=today`, one word where the name is the same, and
# `former=one+other` where it was split.
_MOVED: Final = {
    "core.policy": (
        "policy=model+places policy_sections=sections policy_trigger=trigger policy_monitor=monitor "
        "policy_validation=validation policy_types=types policy_problems=problems "
        "policy_consistency=consistency dialects trigger_dialects durations cron support"
    ),
    "core.metrics": (
        "metrics=definitions+answers+ranking metric_names=names bounds class_rows ranking "
        "labels measures intervals proportions"
    ),
    "core.profile": (
        "profile=record feature_profile=feature counts=counts+counting numeric_bins parts quantiles "
        "moments curve reference rolling summary"
    ),
    "core.registry": "lifecycle moves chain build verdict reproduction comparison",
    "core.drift": (
        "drift=check psi distances chance measure rule judge findings drift_record=record "
        "persistence answers calibration"
    ),
    "core.gates": "gates=judge+subject gate_checks=checks slices leakage evidence",
    "core.shadow": (
        "shadow=gate shadow_checks=checks shadow_columns=columns shadow_coverage=coverage "
        "shadow_differences=differences shadow_disagreement=disagreement shadow_statistic=statistic "
        "shadow_views=views shadow_windows=windows"
    ),
    "adapters.policy": "policy_files=files yaml_places",
    "adapters.data": (
        "datasets dataset_files=files storage scanning table_files=tables fingerprint row_hash "
        "file_copies=copies manifest progress"
    ),
    "adapters.sql": (
        "sql=source sql_schema=schema sql_statements=statements sql_types=types "
        "sql_dialects=dialects connections"
    ),
    "adapters.counting": (
        "columns binning binning_kernel counting=counter profiling dataset_profile part_files "
        "window_parts sampling count_cache=cache"
    ),
    "adapters.counting.parquet": (
        "parquet_columns=columns parquet_counting=counting parquet_profiling=profiling"
    ),
    "adapters.counting.sql": "sql_binning=binning sql_counting=counting+rows+groups sql_profiling=profiling",
    "adapters.log": (
        "prediction_log=predictions prediction_rows=schema prediction_errors=answer_errors labels "
        "label_files log_counting=counting log_files=files log_compaction=compaction "
        "file_merging=merging compacted time_folders"
    ),
    "adapters.registry": "registry=protocol memory_registry=memory ledger",
    "adapters.registry.mlflow": (
        "mlflow_registry=registry+entities+aliases mlflow_journals=journals mlflow_files=files "
        "mlflow_auth=auth mlflow_database=database mlflow_errors=errors"
    ),
    "adapters.code": "git source_code=entrypoint environment",
    "adapters.launch": "launchers=local+protocol+process_tree+user_environment",
    "loop.registry": "move audit findings verify recorded recorded_code",
    "loop.drift": "check watch window reference baseline monitor answer_errors drift_report=report",
    "loop.gates": "validate judging holdout leakage scoring verdicts judged_file",
    "loop.shadow": "shadow=gate replay mirrored shadow_log=log",
    "loop.train": "train=training prepare claim launch reproduce",
    "serving": "wire=wire+messages",
    "serving.front": "server app pages metrics state lane seat workers channel options log_link",
    "serving.worker": (
        "spare worker=process warm_up answering frames columns open_inference=open_inference+tensors "
        "scoring bodies"
    ),
    "serving.log": (
        "log_process=process log_writer=writer spool spooling log_roll=roll row_queue=queue log_rows=rows"
    ),
    "report.charts": "svg charts=months trend_chart=trend share_chart=share interval_chart=interval",
    "report": (
        "evidence_charts=evidence drift_page=drift verdict_page=verdict shadow_part=shadow demo_page=demo"
    ),
}


@cache
def _homes() -> dict[str, list[str]]:
    """By former name the modules that have its names today."""
    homes = {}
    for room, modules in _MOVED.items():
        layer = room.partition(".")[0]
        for words in modules.split():
            former, _, today = words.partition("=")
            homes[f"{_PACKAGE}.{layer}.{former}"] = [
                f"{_PACKAGE}.{room}.{module}" for module in (today or former).split("+")
            ]
    return homes


class FormerNames:
    """Finds modules by their former names; stands first in `sys.meta_path`, since rooms bear some of them."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG004 - Python's
        """Python's: a module or a room that offers what a module of this name did; None: there was none."""
        if not name.startswith(f"{_PACKAGE}.") or name not in _homes():
            return None
        room = PathFinder.find_spec(name, path)
        if room is None:
            return ModuleSpec(name, _Former(name, ""))
        if isinstance(room.loader, SourceFileLoader):
            room.loader = _Former(name, room.loader.path)
        return room


class _Former(SourceFileLoader):
    """Loads a room, or an empty module, that gives former names when asked."""

    def exec_module(self, module: ModuleType) -> None:
        if self.path:
            super().exec_module(module)
        module.__getattr__ = partial(_find, module)  # type: ignore[method-assign]


def _find(module: ModuleType, name: str) -> Any:
    """Give what the module of that former name had, from where it is today."""
    if not name.startswith("__") and not _is_within(module, name):
        for home in _homes()[module.__name__]:
            found = vars(import_module(home))
            if name in found:
                return found[name]
    raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")


def _is_within(room: ModuleType, name: str) -> bool:
    """Whether a room has a module of that name: Python asks for it as an attribute before it imports it."""
    path = getattr(room, "__path__", None)
    return path is not None and PathFinder.find_spec(f"{room.__name__}.{name}", path) is not None
