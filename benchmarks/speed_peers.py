"""What one peer takes to compare two Parquet files, in CPU seconds (user and system, all threads).

    PYTHON_OF_THE_PEER benchmarks/speed_peers.py NAME REFERENCE CURRENT

Runs in the peer's own environment, so it imports nothing of ours. Prints JSON: `imports`, `fit` (what may be
done once for a reference), `calculate` (reading the files left out), `process` (all of it), `memory_mb`.
Those with `numeric` in the name get the numeric columns only.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

warnings.simplefilter("ignore")

# What a peer's function returns: its fit, and the calculation on what that returned.
Steps = tuple["Callable[[], Any]", "Callable[[Any], object]"]


def evidently(before: Any, now: Any) -> Steps:
    """Build the drift preset's report with PSI for every column."""
    from evidently import Dataset, Report
    from evidently.presets import DataDriftPreset

    def report(_: None) -> object:
        data = Dataset.from_pandas(now), Dataset.from_pandas(before)
        return Report([DataDriftPreset(method="psi")]).run(*data).dict()

    return (lambda: None), report


def nannyml_numeric(before: Any, now: Any) -> Steps:
    """Kolmogorov-Smirnov of every numeric column; the whole window is one chunk."""
    import nannyml

    names = [name for name in before.columns if name.startswith("n")]

    def fit() -> object:
        made = nannyml.UnivariateDriftCalculator(
            column_names=names, continuous_methods=["kolmogorov_smirnov"], chunk_size=len(now)
        )
        return made.fit(before)

    return fit, lambda made: made.calculate(now).to_df()


def frouros_numeric(before: Any, now: Any) -> Steps:
    """PSI of every numeric column; missing values are dropped for it, which it does not do itself."""
    from frouros.detectors.data_drift import PSI

    names = [name for name in before.columns if name.startswith("n")]

    def fit() -> dict[str, object]:
        made = {name: PSI() for name in names}
        for name, detector in made.items():
            detector.fit(X=before[name].dropna().to_numpy())
        return made

    return fit, lambda made: [made[name].compare(X=now[name].dropna().to_numpy()) for name in names]


def alibi_numeric(before: Any, now: Any) -> Steps:
    """Kolmogorov-Smirnov of every numeric column; it says "no drift" wherever a value is missing."""
    from alibi_detect.cd import KSDrift

    names = [name for name in before.columns if name.startswith("n")]
    return (lambda: KSDrift(before[names].to_numpy())), lambda made: made.predict(now[names].to_numpy())


def whylogs(before: Any, now: Any) -> Steps:
    """Profile both (a profile is its fit), then score all columns."""
    import whylogs as why
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    def calculate(made: Any) -> object:
        return calculate_drift_scores(
            target_view=why.log(now).view(), reference_view=made, with_thresholds=True
        )

    return (lambda: why.log(before).view()), calculate


def popmon(before: Any, now: Any) -> Steps:
    """Make histograms of the reference, then of the window on the same bins."""
    import popmon  # noqa: F401 - adds the method to frames
    from popmon.pipeline.report import get_bin_specs, make_histograms

    def fit() -> Any:
        made = make_histograms(before)
        return get_bin_specs(made)

    return fit, lambda bins: make_histograms(now, bin_specs=bins)


def deepchecks(before: Any, now: Any) -> Steps:
    """Run its check of feature drift with PSI for categories and its default for numbers."""
    from deepchecks.tabular import Dataset
    from deepchecks.tabular.checks import FeatureDrift

    texts = [name for name in before.columns if name.startswith("c")]

    def calculate(_: None) -> object:
        data = Dataset(before, cat_features=texts), Dataset(now, cat_features=texts)
        check = FeatureDrift(categorical_drift_method="PSI", n_samples=len(now))
        return check.run(*data, with_display=False)

    return (lambda: None), calculate


PEERS: Final = {
    one.__name__: one
    for one in (evidently, nannyml_numeric, frouros_numeric, alibi_numeric, whylogs, popmon, deepchecks)
}


def main(name: str, reference: str, current: str) -> None:
    """Print what the peer took."""
    import pandas as pd

    frames = pd.read_parquet(reference), pd.read_parquet(current)
    marks = [time.process_time()]
    fit, calculate = PEERS[name](*frames)
    marks.append(time.process_time())
    made = fit()
    marks.append(time.process_time())
    calculate(made)
    marks.append(time.process_time())
    imports, fitted, calculated = (later - earlier for earlier, later in itertools.pairwise(marks))
    # Not ru_maxrss: that begins with the size of the process that started this one.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    memory = int(peak.split()[1]) // 1024
    found = {"imports": imports, "fit": fitted, "calculate": calculated, "process": marks[-1]}
    sys.stdout.write("\n" + json.dumps({**found, "memory_mb": memory}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
