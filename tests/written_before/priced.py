"""A script of a user's: its model holds functions, classes and values of our modules, all by reference."""

import numpy as np

import airflow_provider_ifp as ifp
from airflow_provider_ifp.adapters.columns import text_of
from airflow_provider_ifp.adapters.fingerprint import folder_manifest
from airflow_provider_ifp.adapters.log_files import LogFile, locate
from airflow_provider_ifp.adapters.profiling import profile_table
from airflow_provider_ifp.adapters.registry import Registry, StoredModel
from airflow_provider_ifp.adapters.sql import DatabaseSource
from airflow_provider_ifp.core.counts import count_numbers
from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.drift import DEFAULT_RULE, check_drift
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.feature_profile import NumericProfile
from airflow_provider_ifp.core.findings import DriftCheck
from airflow_provider_ifp.core.firing import Firing
from airflow_provider_ifp.core.gates import Subject, judge
from airflow_provider_ifp.core.lifecycle import Ledger
from airflow_provider_ifp.core.metrics import Answers, compute
from airflow_provider_ifp.core.policy import Policy, require_training_keys
from airflow_provider_ifp.core.policy_trigger import DriftCondition
from airflow_provider_ifp.core.profile import Profile, Segment
from airflow_provider_ifp.core.psi import psi
from airflow_provider_ifp.core.reference import profile_numbers
from airflow_provider_ifp.core.shadow import Shadowed, judge_shadow
from airflow_provider_ifp.core.verdict import Verdict
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.loop.shadow import shadow
from airflow_provider_ifp.loop.train import Order, train
from airflow_provider_ifp.loop.window import LogCounter
from airflow_provider_ifp.report.wording import number
from airflow_provider_ifp.serving.cache import VersionCache


class Priced:
    """Answers x plus the PSI of the rows asked against the profile that it carries."""

    def __init__(self, feature):
        self.profile = Profile((feature,), 100)
        self.policy = Policy.from_json({"model": "demand", "validation": {"max_rmse": 0.8}})
        self.firing = Firing(fired=False, decided=True, reasons=("stable",))
        self.rule = DEFAULT_RULE
        self.stored = StoredModel
        self.judges = [judge, judge_shadow, check_drift, require_training_keys, shadow, train]
        self.kinds = [
            *(Answers, DatabaseSource, DatasetError, DriftCheck, DriftCondition, Ledger, LogCounter, LogFile),
            *(NumericProfile, Order, Registry, Segment, Shadowed, Subject, Verdict, VersionCache, Window),
        ]
        self.others = [text_of, folder_manifest, locate, profile_table, digest_json, number]
        self.count, self.measure, self.error = count_numbers, psi, compute
        self.answers = Answers

    def predict(self, frame):
        import numpy as np

        (feature,) = self.profile.features
        values = frame["x"].to_numpy(dtype=float)
        moved = self.measure(feature, self.count(feature, values))
        error = self.error("rmse", np.zeros(len(values)), self.answers(values))
        return values + moved + error


if __name__ == "__main__":
    with ifp.track("demand") as run:
        model = Priced(profile_numbers("x", np.arange(100) / 10))
        run.log_param("made_by", "priced.py")
        run.register(tags=["team=y"])
