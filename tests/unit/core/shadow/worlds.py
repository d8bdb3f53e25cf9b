"""Small worlds for the shadow gate's tests: requests and holdout of one law, and a drifted production."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class World:
    """Production learnt an old slope; the candidate the present one, so that most requests differ."""

    log: dict
    holdout: dict
    candidate: tuple
    production: tuple
    rng: np.random.Generator = field(repr=False)

    def arguments(self):
        return (self.log, self.holdout), self.candidate, self.production

    def without(self, outside):
        """The same with a holdout that lacks the rows where `outside(features)` is true."""
        stays = ~outside(self.holdout)
        return World(
            self.log,
            {name: values[stays] for name, values in self.holdout.items()},
            (self.candidate[0], self.candidate[1][stays]),
            (self.production[0], self.production[1][stays]),
            self.rng,
        )

    def answering(self, inside, change):
        """The same with other answers of the candidate where `inside(features)` is true of a request."""
        answers = self.candidate[0].copy()
        there = inside(self.log)
        answers[there] = change(answers[there])
        return World(self.log, self.holdout, (answers, self.candidate[1]), self.production, self.rng)


def make_world(seed=0, requests=1_000, rows=3_000):
    rng = np.random.default_rng(seed)
    parts, candidate, production = [], [], []
    for count in (requests, rows):
        x, z = rng.normal(0, 1, count), rng.uniform(0, 100, count)
        carrier = rng.choice([f"c{number:02}" for number in range(20)], count).astype(object)
        parts.append({"x": x, "z": z, "carrier": carrier})
        candidate.append(100 + 10 * x + 0.2 * z + rng.normal(0, 0.5, count))
        production.append(100 + 8 * x + 0.25 * z)
    return World(parts[0], parts[1], tuple(candidate), tuple(production), rng)
