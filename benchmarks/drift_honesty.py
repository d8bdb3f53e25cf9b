"""How often a drift check is wrong: false alarms without drift, and drift that it misses.

    python benchmarks/drift_honesty.py [--windows 2000] [--peers evidently,nannyml,alibi] [--json FILE]

Prints for each scenario and window size the share of windows that are called drifted. 20 features, a
reference of 50,000 rows that is drawn anew for every 20 windows. Ours is simulated on counts: the places of
the reference's edges among the population are Dirichlet, the rows of a window on its bins multinomial, which
is exact and needs no rows. Scenarios with drift get a quarter of the windows.

`--peers` names libraries that judge, by their defaults (`benchmarks/honesty_peers.py`), rows of the same
scenarios, and the same rows are judged by our rules. Each gets an environment of its own by uv.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from airflow_provider_ifp.core.drift.calibration import calibrate
from airflow_provider_ifp.core.drift.check import check_drift
from airflow_provider_ifp.core.drift.judge import judge
from airflow_provider_ifp.core.drift.measure import measure
from airflow_provider_ifp.core.drift.rule import Rule
from airflow_provider_ifp.core.profile.counting import count_numbers
from airflow_provider_ifp.core.profile.counts import Counts
from airflow_provider_ifp.core.profile.feature import NumericProfile
from airflow_provider_ifp.core.profile.moments import Moments
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.core.profile.reference import profile_numbers
from environments import PACKAGES, make_environment

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = 20
REFERENCE_ROWS = 50_000
WINDOWS_PER_REFERENCE = 20
SIZES = (50, 100, 200, 500, 1_000, 5_000, 20_000, 100_000)
PEER_SIZES = (100, 1_000, 5_000)
SHARES = np.array([0, 0.01, 0.05, *np.arange(1, 10) / 10, 0.95, 0.99, 1])
FARTHER = 3.0  # standard deviations by which contaminated rows are moved


@dataclass(frozen=True)
class Scenario:
    """What happens to the windows: shifts are in standard deviations.

    Attributes:
        shift: of the first feature's mean.
        jitter: standard deviation of the shift that each feature of each window has by nature.
        contaminated: share of the first feature's rows that are moved out by three standard deviations.
    """

    name: str
    shift: float = 0.0
    jitter: float = 0.0
    contaminated: float = 0.0


SCENARIOS = (
    Scenario("no drift"),
    Scenario("jitter of .05 sd", jitter=0.05),
    Scenario("shift of 1 sd", shift=1.0),
    Scenario("shift of .25 sd", shift=0.25),
    Scenario("5% contaminated", contaminated=0.05),
)
AUTO = Rule(methods={"psi": "auto"})
RULES = {
    "default (psi 0.10)": Rule(),
    "psi auto": AUTO,
    "ks_test 0.05": Rule(methods={"ks_test": 0.05}),
    "correction none": Rule(correction="none"),
}


def draw_reference(rng: np.random.Generator) -> Profile:
    """Draw where the coarse edges of a reference of normal rows lie, and profile it."""
    rows = np.round(np.diff(SHARES) * REFERENCE_ROWS).astype(int)
    profiles = []
    for index in range(FEATURES):
        edges = ndtri(np.cumsum(rng.dirichlet(rows))[:-1])
        profiles.append(
            NumericProfile(
                name=f"x{index}",
                edges=tuple(edges.tolist()),
                deciles=tuple(range(2, 11)),
                tails=(0, 1, 11, 12),
                atoms=(),
                interval_rows=tuple(rows.tolist()),
                atom_rows=(),
                missing=0,
                centre=0.0,
                low=None,
                high=None,
                moments=Moments(),
            )
        )
    return Profile(tuple(profiles), rows=REFERENCE_ROWS)


def draw_window(
    rng: np.random.Generator, profile: Profile, rows: int, scenario: Scenario
) -> dict[str, Counts]:
    """Draw the counts of a window."""
    window = {}
    for index, feature in enumerate(profile.features):
        moved = index == 0
        shift = scenario.jitter * rng.normal() + (scenario.shift if moved else 0.0)
        share = scenario.contaminated if moved else 0.0
        edges = np.array(feature.edges)
        below = (1 - share) * ndtr(edges - shift) + share * ndtr(edges - FARTHER)
        bins = rng.multinomial(rows, np.diff(below, prepend=0, append=1))
        window[feature.name] = Counts(bins, missing=0, grid="coarse")
    return window


def share_of_alarms(
    scenario: Scenario,
    rows: int,
    rules: dict[str, Rule],
    windows: int,
    *,
    seed: int = 0,
    calibrated: int = 0,
    in_windows: int = 1,
) -> dict[str, float]:
    """Return by rule the share of windows that are called drifted.

    Args:
        scenario: What happens to the windows.
        rows: Of a window.
        rules: By name.
        windows: How many are drawn.
        seed: Of the draws.
        calibrated: In so many blocks, of the window's size, the reference's noise is measured; 0: not at all.
        in_windows: The alarm may come in any of so many windows in a row.
    """
    rng = np.random.default_rng(seed)
    alarms = dict.fromkeys(rules, 0)
    done = 0
    while done < windows:
        profile = draw_reference(rng)
        if calibrated:
            quiet = replace(scenario, shift=0.0, contaminated=0.0)
            profile = calibrate(profile, [draw_window(rng, profile, rows, quiet) for _ in range(calibrated)])
        for _ in range(min(WINDOWS_PER_REFERENCE, windows - done)):
            draws = [draw_window(rng, profile, rows, scenario) for _ in range(in_windows)]
            measured = [
                [measure(feature, one[feature.name]) for feature in profile.features] for one in draws
            ]
            for name, rule in rules.items():
                alarms[name] += any(
                    judged.verdict == "drifted" for one in measured for judged in judge(one, rule)
                )
            done += 1
    return {name: count / windows for name, count in alarms.items()}


def draw_rows(scenario: Scenario, rows: int, windows: int, seed: int) -> tuple[NDArray[np.float64], ...]:
    """Draw rows for the peers: a reference (rows, features), and windows (windows, rows, features)."""
    rng = np.random.default_rng(seed)
    current = rng.normal(size=(windows, rows, FEATURES))
    current += scenario.jitter * rng.normal(size=(windows, 1, FEATURES))
    current[:, :, 0] += scenario.shift
    current[:, : round(rows * scenario.contaminated), 0] += FARTHER
    return rng.normal(size=(REFERENCE_ROWS, FEATURES)), current


def ask_peer(folder: Path, peer: str, draws: Path) -> str:
    """Return the share of windows that a peer calls drifted, as the table's cell."""
    python = make_environment(folder, peer, PACKAGES[peer])
    script = Path(__file__).with_name("honesty_peers.py")
    done = subprocess.run(
        [python, script, peer, draws], capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        return "failed: " + (done.stderr.strip().splitlines() or ["no message"])[-1][:60]
    return f"{json.loads(done.stdout.splitlines()[-1]):.1%}"


def ask_ours(rule: Rule, reference: NDArray[np.float64], current: NDArray[np.float64]) -> str:
    """Return the share of windows that a rule of ours calls drifted, of the same rows."""
    features = tuple(profile_numbers(f"x{index}", of) for index, of in enumerate(reference.T))
    profile = Profile(features, rows=len(reference))
    called = [
        check_drift(
            profile,
            {one.name: count_numbers(one, of) for one, of in zip(features, window.T, strict=True)},
            rule,
        ).drifted
        is True
        for window in current
    ]
    return f"{np.mean(called):.1%}"


def print_table(title: str, columns: list[str], lines: list[list[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n{title}\n\n| " + " | ".join(columns) + " |")
    print("|" + " --- |" * len(columns))
    for line in lines:
        print("| " + " | ".join(line) + " |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=2_000)
    parser.add_argument("--peers", default="", help="of evidently, nannyml, alibi")
    parser.add_argument("--peer-windows", type=int, default=40)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only-peers", action="store_true")
    args = parser.parse_args()
    if not args.only_peers:
        record = measure_ours(args.windows)
        if args.json:
            args.json.write_text(json.dumps(record, indent=1))
    if args.peers:
        with tempfile.TemporaryDirectory(prefix="drift-honesty-") as folder:
            compare(Path(folder), args.peers.split(","), args.peer_windows)


def measure_ours(most: int) -> list[dict[str, object]]:
    """Print what our rules call drift, and return it."""
    start, record = time.process_time(), []
    for scenario in SCENARIOS:
        lines = []
        windows = most // (4 if scenario.shift or scenario.contaminated else 1)
        for rows in SIZES:
            found = share_of_alarms(scenario, rows, RULES, windows)
            record.append({"scenario": scenario.name, "rows": rows, "windows": windows, **found})
            lines.append([f"{rows:,}", *(f"{share:.2%}" for share in found.values())])
        print_table(
            f"{scenario.name}: windows called drifted ({windows} windows a cell)", ["rows", *RULES], lines
        )
    jitter, tail, auto = SCENARIOS[1], SCENARIOS[4], {"psi auto": AUTO}
    lines = []
    for rows in SIZES[4:]:
        found = share_of_alarms(jitter, rows, auto, most, calibrated=10)
        lines.append([f"{rows:,}", f"{found['psi auto']:.2%}"])
        record.append({"scenario": jitter.name, "rows": rows, "calibrated": 10, **found})
    print_table("jitter of .05 sd, calibrated on ten blocks", ["rows", "psi auto"], lines)
    found = share_of_alarms(tail, 1_000, auto, most // 4, in_windows=2)
    record.append({"scenario": tail.name, "rows": 1_000, "within": 2, **found})
    print(f"\n5% contaminated, 1,000 rows, psi auto, within two windows: {found['psi auto']:.1%}")
    print(f"{time.process_time() - start:.0f} CPU-seconds, {most} windows a cell at most")
    return record


def compare(folder: Path, peers: list[str], windows: int) -> None:
    """Print what the peers' defaults and our rules call drift."""
    lines = []
    draws = folder / "draws.npz"
    for scenario in SCENARIOS:
        for rows in PEER_SIZES:
            reference, current = draw_rows(scenario, rows, windows, seed=rows)
            np.savez(draws, reference=reference, current=current)
            ours = [ask_ours(rule, reference, current) for rule in (Rule(), AUTO)]
            theirs = [ask_peer(folder, peer, draws) for peer in peers]
            lines.append([scenario.name, f"{rows:,}", *ours, *theirs])
    print_table(
        f"the same rows, {windows} windows a cell", ["scenario", "rows", "ours", "ours, auto", *peers], lines
    )


if __name__ == "__main__":
    main()
