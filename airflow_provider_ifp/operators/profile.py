"""Profiles and drift checks of data that outgrow one machine: parts on as many workers as there are.

A window is counted by `CountPartOperator`, mapped over its parts, and checked by `CheckPartsOperator`. A
reference is profiled in two passes: `SamplePartOperator` mapped, `MakeBinsOperator`, `CountPartOperator`
mapped on those bins, `MergeProfileOperator`. Between the tasks go files in a shared folder; XCom carries
their paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_ifp.core.errors import DatasetUnreachableError, IfpError
from airflow_provider_ifp.hooks.databases import connect
from airflow_provider_ifp.hooks.run_facts import to_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_provider_ifp.core.policy.model import Policy


class CountPartOperator(BaseOperator):
    """Count a part of a window on the bins of a reference: `.partial(...).expand(part=[...])`.

    Args:
        part: What to count (templated): `{"dataset": URI}`, `{"files": [URI, ...]}`, or `{"conn_id": ID,
            "table": NAME}`; a dataset or a table with `time_column`, `start`, `end`: a range of time.
        reference: Path or URI of the reference's profile, or the output of a task that wrote it (templated).
        folder: Where to write the counts: a path or URI that all workers share (templated).
        within: The struct column of `files` that holds the features: `features` for the prediction log.
    """

    template_fields: Sequence[str] = ("part", "reference", "folder")
    ui_color = "#e8f0fe"

    def __init__(
        self, *, part: Any, reference: Any, folder: str, within: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.part = part
        self.reference = reference
        self.folder = folder
        self.within = within

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Count and write; returns the path, the rows, and the reference's digest.

        Raises:
            AirflowFailException: The part cannot be counted; no retry would help.
        """
        return asdict(_decided(self._count))

    def _count(self) -> Any:
        from airflow_provider_ifp.adapters.counting.part_files import read_profile, write_counts
        from airflow_provider_ifp.adapters.counting.window_parts import PartSource, count_part

        part, profile = PartSource.parse(self.part), read_profile(_path(self.reference))
        counted = count_part(profile, part, within=self.within, connect=connect)
        return write_counts(self.folder, profile, part, counted)


class CheckPartsOperator(BaseOperator):
    """Merge the counted parts of a window, and say whether it drifted from its reference.

    Args:
        parts: The outputs of `CountPartOperator`s (templated).
        reference: As theirs (templated).
        folder: Where the whole answer is written, as `drift.json` (templated).
        policy: Its section `monitor` says what is asked (methods, correction, min_rows); None: PSI over 0.10.
    """

    template_fields: Sequence[str] = ("parts", "reference", "folder")
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        parts: Any,
        reference: Any,
        folder: str,
        policy: Policy | str | Path | None = None,
        **kwargs: Any,
    ) -> None:
        self._policy = None if policy is None else to_policy(policy)
        super().__init__(**kwargs)
        self.parts = parts
        self.reference = reference
        self.folder = folder

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Merge and check; returns `drifted`, `reason`, `rows`, and the path of the whole answer.

        Raises:
            AirflowFailException: A part is damaged, there twice, or counted on another reference.
        """
        answer: dict[str, Any] = _decided(self._check)
        self.log.info(answer["reason"])
        return answer

    def _check(self) -> dict[str, Any]:
        from airflow_provider_ifp.adapters.counting.part_files import (
            merge_counts,
            parse_all,
            read_profile,
            write_json,
        )
        from airflow_provider_ifp.core.drift.check import DEFAULT_RULE, check_drift
        from airflow_provider_ifp.core.drift.rule import rule_of

        profile = read_profile(_path(self.reference))
        counted = merge_counts(profile, parse_all(self.parts))
        # What the model answered, and segments, are not counted in parts.
        whole = replace(profile, predictions=(), segments=())
        rule = DEFAULT_RULE if self._policy is None else rule_of(self._policy.watch)
        found = check_drift(whole, counted.counts, rule)
        path = write_json(self.folder, "drift.json", found.to_json())
        return {"drifted": found.drifted, "reason": found.reason, "rows": dict(found.rows), "path": path}


class SamplePartOperator(BaseOperator):
    """The first pass over a part of a reference window: a sample of its rows, and all its names.

    Args:
        part: As of `CountPartOperator`, in files (templated).
        features: The columns to profile (templated).
        folder: Where to write the sample: a path or URI that all workers share (templated).
        categorical: Those features that are categories; None: text, booleans and dictionaries (templated).
        rows: How many rows of the whole window make the bins; the same for all parts and `MakeBinsOperator`.
    """

    template_fields: Sequence[str] = ("part", "features", "folder", "categorical")
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        part: Any,
        features: Sequence[str],
        folder: str,
        categorical: Sequence[str] | None = None,
        rows: int = 1_000_000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.part = part
        self.features = features
        self.folder = folder
        self.categorical = categorical
        self.rows = rows

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Sample and write; returns the path and the rows.

        Raises:
            AirflowFailException: The part cannot be read, or a feature has no profile.
        """
        from airflow_provider_ifp.adapters.counting.sampling import write_sample
        from airflow_provider_ifp.adapters.counting.window_parts import PartSource

        return asdict(
            _decided(
                lambda: write_sample(
                    self.folder, PartSource.parse(self.part), self.features, self.categorical, self.rows
                )
            )
        )


class MakeBinsOperator(BaseOperator):
    """Make the bins of a reference window out of the samples of its parts; writes `bins.json`.

    Args:
        samples: The outputs of `SamplePartOperator`s (templated).
        features, folder, categorical, rows: As theirs.
    """

    template_fields: Sequence[str] = ("samples", "features", "folder", "categorical")
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        samples: Any,
        features: Sequence[str],
        folder: str,
        categorical: Sequence[str] | None = None,
        rows: int = 1_000_000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.samples = samples
        self.features = features
        self.folder = folder
        self.categorical = categorical
        self.rows = rows

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Merge and write; returns the path and the rows.

        Raises:
            AirflowFailException: A sample is damaged, or the parts have different types.
        """
        return asdict(_decided(self._make))

    def _make(self) -> Any:
        from airflow_provider_ifp.adapters.counting.part_files import Written, parse_all, write_json
        from airflow_provider_ifp.adapters.counting.sampling import merge_samples

        bins = merge_samples(parse_all(self.samples), self.features, self.categorical, self.rows)
        return Written(write_json(self.folder, "bins.json", bins.to_json()), bins.rows)


class MergeProfileOperator(BaseOperator):
    """Put the counted parts of a reference window into its bins; writes `profile.json`.

    Args:
        parts: The outputs of `CountPartOperator`s on those bins (templated).
        bins: The output of `MakeBinsOperator` (templated).
        folder: Where to write the profile (templated).
    """

    template_fields: Sequence[str] = ("parts", "bins", "folder")
    ui_color = "#e8f0fe"

    def __init__(self, *, parts: Any, bins: Any, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = parts
        self.bins = bins
        self.folder = folder

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Merge and write; returns the path and the rows.

        Raises:
            AirflowFailException: A part is damaged, there twice, left out, or changed between the passes.
        """
        return asdict(_decided(self._merge))

    def _merge(self) -> Any:
        from airflow_provider_ifp.adapters.counting.part_files import (
            Written,
            merge_counts,
            parse_all,
            read_profile,
            write_json,
        )
        from airflow_provider_ifp.adapters.counting.sampling import finish_profile

        bins = read_profile(_path(self.bins))
        profile = finish_profile(bins, merge_counts(bins, parse_all(self.parts)))
        return Written(write_json(self.folder, "profile.json", profile.to_json()), profile.rows)


def _decided(attempt: Callable[[], Any]) -> Any:
    """Let Airflow retry only what a retry can help."""
    try:
        return attempt()
    except DatasetUnreachableError:
        raise
    except IfpError as error:
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


def _path(of: Any) -> str:
    """A path as it is, or that of a file which another task wrote."""
    return str(of["path"]) if isinstance(of, Mapping) else str(of)
