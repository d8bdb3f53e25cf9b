"""Jobs to kill: each from a known beginning, or drawn at random by six writers at once."""

from __future__ import annotations

import time
import uuid
from multiprocessing.connection import wait

from tests.fault.jobs import Job, perform
from tests.fault.killing import Ended, ended, start

from airflow_provider_ifp.adapters.registry.protocol import StoredModel

WRITERS = 6
LONGEST_LIFE = 1.0
"""Seconds in which a writer that is to be killed is dead; a whole job takes about as long."""


def fresh(kind, **facts):
    return Job(kind=kind, nonce=uuid.uuid4().hex, **facts)


class Begin:
    """Where each kind of job begins: with nothing at all, or in a state that was made before."""

    def __init__(self, place):
        self.place = place
        self.registry = place.registry()
        self.jobs = []
        self.steady = self.two_productions()

    def new(self, kind):
        """A job of that kind, on a model that is as it must be for it."""
        if kind == "register":
            job = fresh(kind, model=_name(), content=uuid.uuid4().hex)
        elif kind == "promote":
            job = fresh(kind, model=self.one_version(), version="1")
        else:
            job = fresh(kind, model=self.steady, version=self.out_of_production())
        self.jobs.append(job)
        return job

    def one_version(self):
        """A model whose version shares the files of another model: quickly made, and without a ledger."""
        model, given = _name(), self.registry.version(self.steady, "1")
        tags = {"ifp.files_digest": given.files_digest, "ifp.content_digest": given.content_digest}
        stored = StoredModel(given.stored.id, given.stored.uri)
        self.registry.create_version(model, run_id=given.run_id, stored=stored, tags=tags, nonce=model)
        return model

    def two_productions(self):
        """A model with two versions that were both in production, the second now."""
        model = _name()
        for version in ("1", "2"):
            self.done(fresh("register", model=model, content=f"weights {version}"))
            self.done(fresh("promote", model=model, version=version, targets=("production",), by="person"))
        return model

    def out_of_production(self):
        """The version of the steady model that may be put back."""
        return {"1": "2", "2": "1"}[self.registry.aliases(self.steady)["production"]]

    def done(self, job):
        """Do a job in this process, unharmed."""
        self.jobs.append(job)
        perform(self.registry, job, self.place.done)


def _name():
    return f"model-{uuid.uuid4().hex[:12]}"


class Storm:
    """Six writers on one model, each killed now and then at a random time.

    Args:
        place: The MLflow.
        begin: Its steady model is the one.
        choice: A seeded generator.
    """

    def __init__(self, place, begin, choice):
        self.place = place
        self.begin = begin
        self.choice = choice
        self.started = 0
        self.killed = 0
        self.unfinished = []  # killed or failed, and not tried again
        self._running = {}  # sentinel -> (process, job, when to kill it or None)

    def step(self):
        """Fill the writers' places, kill whose time has come, and see who ended."""
        while len(self._running) < WRITERS:
            # Three of four are to be killed.
            life = self.choice.uniform(0, LONGEST_LIFE) if self.choice.random() < 3 / 4 else None
            self._start(self._draw(), life)
        now = time.monotonic()
        for process, _, until in self._running.values():
            if until is not None and until <= now:
                process.kill()
        self._reap(0.05)

    def end(self):
        """Let the present jobs end by themselves."""
        while self._running:
            self._reap(180)

    def rerun_the_unfinished(self):
        """Every job that was not acknowledged gets done now, or is refused by the rules, as things stand."""
        jobs, self.unfinished = self.unfinished, []
        while jobs or self._running:
            while jobs and len(self._running) < WRITERS:
                self._start(jobs.pop())
            for job, outcome in self._reap(180):
                refused = outcome == Ended.REFUSED and job.kind != "register"
                assert outcome == Ended.DONE or refused, f"{job} {outcome!r}; see {self.place.log}"

    def _start(self, job, life=None):
        process = start(self.place, job)
        self.started += 1
        self._running[process.sentinel] = (process, job, life and time.monotonic() + life)

    def _reap(self, seconds):
        """Wait for some jobs to end, so long at most; these with how each ended."""
        reaped = []
        for sentinel in wait(list(self._running), seconds):
            process, job, _ = self._running.pop(sentinel)
            outcome = ended(self.place, process)
            self.killed += outcome == Ended.KILLED
            if outcome in {Ended.KILLED, Ended.FAILED}:
                self.unfinished.append(job)
            reaped.append((job, outcome))
        return reaped

    def _draw(self):
        """A job: one that was not finished, or a new one."""
        if self.unfinished and self.choice.random() < 0.3:
            return self.unfinished.pop(self.choice.randrange(len(self.unfinished)))
        kind = self.choice.choice(["register", "promote", "promote", "roll_back"])
        facts = {"model": self.begin.steady}
        if kind == "register":
            facts["content"] = f"weights {self.choice.randrange(20)}"
        elif kind == "promote":
            facts["version"] = self.choice.choice(self._known())
            facts["by"] = self.choice.choice(["loop", "person"])
            facts["targets"] = self.choice.choice([("staging",), ("production",), ("staging", "production")])
        job = fresh(kind, **facts)
        self.begin.jobs.append(job)
        return job

    def _known(self):
        """Versions that somebody was told of, in a fixed order."""
        answers = self.place.done.read()
        registered = [job.nonce for job in self.begin.jobs if job.kind == "register"]
        return sorted(answer for nonce in registered for answer in answers.get(nonce, ()))
