"""`ifp demo`: a real MLflow, a real Airflow, a year of flights, and the loop that keeps a model right."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.policy.files import load_policy
from airflow_provider_ifp.adapters.registry.ledger import read_ledger
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.core.errors import IfpError, ServiceError
from airflow_provider_ifp.demo.airflow_api import AirflowApi
from airflow_provider_ifp.demo.client import Client
from airflow_provider_ifp.demo.dag_run import run_loop
from airflow_provider_ifp.demo.flights import model_rows, read_flights
from airflow_provider_ifp.demo.record import month_record, run_record, version_records
from airflow_provider_ifp.demo.services import free_port, running_services
from airflow_provider_ifp.demo.stack import launch_mlflow, start_airflow, start_server, wait_for_mlflow
from airflow_provider_ifp.demo.table import LiveTable, open_console
from airflow_provider_ifp.demo.traffic import METRIC, Traffic
from airflow_provider_ifp.report.demo import demo_page
from airflow_provider_ifp.report.records import VerdictRecord, read_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.demo.client import Asked, Asking
    from airflow_provider_ifp.demo.services import Services
    from airflow_provider_ifp.demo.stack import AirflowAddress

UNIT = "minutes"
FIRST_RUN = date(2013, 3, 1)
LAST_RUN = date(2014, 1, 1)
USUAL_LAST_RUN = date(2013, 10, 1)
_HOME_VARIABLE = "IFP_DEMO_HOME"
_DAG_SECONDS = 60
# Months pass in minutes here: the server looks at the registry and fills the log as often as that needs.
_SERVE = ("--trust-request-time", "--poll", "0.5", "--roll", "2")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What `ifp demo` was asked for.

    Attributes:
        keep: Leave everything running at the end, until Ctrl-C, and the files afterwards.
        port: Port of Airflow's pages; MLflow's is the next one, the server's the one after; None: free ones.
        until: The last run is as of the last first of a month up to this day.
        json_file: Where the figures go, or None.
    """

    keep: bool = False
    port: int | None = None
    until: date = USUAL_LAST_RUN
    json_file: Path | None = None


def run_demo(options: DemoOptions) -> None:
    """Run the demo in a home of its own, and leave its report there.

    Raises:
        IfpError: `until` is outside the year's flights, the figures have no folder; or a server does not
            start, or a run of the loop failed: then the home is left as it is.
    """
    if not FIRST_RUN <= options.until <= LAST_RUN:
        raise IfpError(f"--until {options.until}: expected a day from {FIRST_RUN} to {LAST_RUN}")
    if options.json_file is not None and not options.json_file.absolute().parent.is_dir():
        raise IfpError(
            f"--json {options.json_file}: there is no folder {options.json_file.absolute().parent}"
        )
    console = open_console()
    home = Path(tempfile.mkdtemp(prefix="ifp-demo-"))
    # A terminal that closes, or a CI that cancels, ends the demo as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    os.environ[_HOME_VARIABLE] = str(home)
    console.print(f"home {home}", highlight=False)
    try:
        with running_services(home / "logs") as services:
            _run_in(home, options, services, console)
    except KeyboardInterrupt:
        shutil.rmtree(home, ignore_errors=True)
        raise
    except IfpError as error:
        raise type(error)(f"{error}\neverything is left in {home}") from error
    if not options.keep:
        for entry in home.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)


def _run_in(home: Path, options: DemoOptions, services: Services, console: Console) -> None:
    started, clock = datetime.now(UTC), time.monotonic()
    dags = _dags_folder()
    policy = load_policy(dags / "policies" / "flight-time.yaml")
    table = LiveTable(console, UNIT)
    with table.shown():
        table.wait_for("MLflow and Airflow start")
        uri = launch_mlflow(services, home / "mlflow", options.port + 1 if options.port else None)
        connection = json.dumps({"conn_type": "ifp_registry", "host": uri})
        address = start_airflow(
            services,
            home / "airflow",
            dags=dags,
            environment={_HOME_VARIABLE: str(home), "AIRFLOW_CONN_IFP_DEFAULT": connection},
            port=options.port,
        )
        wait_for_mlflow(services, uri)
        port = options.port + 2 if options.port else free_port()
        server = f"http://127.0.0.1:{port}"
        api = AirflowApi(address)
        dag_id = policy.training_dag_id
        services.wait_until(lambda: api.knows(dag_id), what=f"Dag {dag_id}", seconds=_DAG_SECONDS)
        api.unpause(dag_id)
        registry = MlflowRegistry(uri)
        table.wait_for("the flights of 2013 are read")
        traffic = Traffic(
            registry,
            policy,
            model_rows(read_flights()),
            home / "flights",
            client=Client(server, policy.data.features or ()),
            services=services,
        )
        story = _Story(policy=policy, registry=registry, api=api, table=table, traffic=traffic)
        for as_of in _firsts(options.until):
            story.go_on(as_of)
            if as_of == FIRST_RUN:
                serve = [policy.model, "--log", policy.log_root(None), *_SERVE]
                start_server(services, home / "serve", serve, uri=uri, port=port)
            services.require_alive()
    record = {
        "model": policy.model,
        "metric": METRIC,
        "unit": UNIT,
        "threshold": policy.psi_threshold,
        "months": story.months,
        "runs": story.runs,
        "versions": version_records(story.registry, policy.model),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - clock, 1),
        "home": str(home),
        "addresses": {"airflow": address.url, "mlflow": uri, "server": server} if options.keep else None,
    }
    report = home / "report.html"
    report.write_text(demo_page(record), encoding="utf-8")
    if options.json_file is not None:
        options.json_file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    console.print(f"{len(story.runs)} runs of the loop in {record['seconds']:.0f} s", highlight=False)
    console.print(f"Report   {report}", highlight=False, soft_wrap=True)
    if options.keep:
        _stay(console, address, uri, server, policy)


@dataclass(slots=True, kw_only=True)
class _Story:
    """The months as they happen, and what came of them so far."""

    policy: Policy
    registry: MlflowRegistry
    api: AirflowApi
    table: LiveTable
    traffic: Traffic
    months: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    _asking: Asking | None = None

    def __post_init__(self) -> None:
        """Let the first month, in which nothing answers yet, land."""
        self.traffic.land(_month_before(_start_of_month_before(FIRST_RUN)))

    def go_on(self, as_of: date) -> None:
        """Let the month before a day happen, and the loop look at it as of that day."""
        month = _month_before(as_of)
        served = None
        if as_of > FIRST_RUN:
            self.table.wait_for(f"{month}: production answers")
            served = self.traffic.serve(month)
        self.traffic.land(month)
        # What else is asked has the time of the run: a second of the next month.
        begin_asking = partial(self._begin_asking, month, datetime.combine(as_of, datetime.min.time(), UTC))
        run = run_loop(
            self.api,
            self.policy.training_dag_id,
            as_of.isoformat(),
            on_wait=lambda what: self.table.wait_for(f"as of {as_of}: {what}"),
            on_training=begin_asking,
        )
        production = read_ledger(self.registry, self.policy.model).production
        verdict = read_record(VerdictRecord, run.verdict, what="this verdict") if run.verdict else None
        self.table.add(run, verdict, served, production)
        self.runs.append(run_record(run, self._end_asking(production)))
        if served is not None:
            self.months.append(month_record(month, run, served))

    def _begin_asking(self, month: str, at: datetime) -> None:
        """Users do not wait for a training; before the first promotion there is nobody to ask."""
        if read_ledger(self.registry, self.policy.model).production is not None:
            self._asking = self.traffic.keep_asking(month, at)

    def _end_asking(self, production: str | None) -> Asked | None:
        """Let them go on until the server has followed the registry."""
        asking, self._asking = self._asking, None
        if asking is None:
            return None
        if production is None:
            return asking.stop()
        self.table.wait_for(f"the server takes version {production}")
        return asking.until_answered_by(production)


def _firsts(until: date) -> Iterator[date]:
    """The firsts of the months from the first run to the last."""
    day = FIRST_RUN
    while day <= until:
        yield day
        day = (day + timedelta(days=31)).replace(day=1)


def _month_before(first: date) -> str:
    return f"{_start_of_month_before(first):%Y-%m}"


def _start_of_month_before(first: date) -> date:
    return (first - timedelta(days=1)).replace(day=1)


def _dags_folder() -> Path:
    """The Dags folder of this repository: beside the package in a checkout, inside it in a wheel."""
    packaged = Path(__file__).parent / "dags"
    checkout = Path(__file__).parents[2] / "dags"
    for folder in (packaged, checkout):
        if (folder / "policies" / "flight-time.yaml").is_file():
            return folder
    raise ServiceError(
        f"the demo's Dags are neither in {packaged} nor in {checkout}; install the package again"
    )


def _stay(console: Console, address: AirflowAddress, uri: str, server: str, policy: Policy) -> None:
    """Leave the pages open until Ctrl-C."""
    console.print(
        f"Airflow  {address.url}/dags/{policy.training_dag_id}\n"
        f"         user {address.user}, password {address.password}\n"
        f"MLflow   {uri}/#/models/{policy.model}\n"
        f"Server   {server}/version\n"
        "Ctrl-C stops all.",
        highlight=False,
        soft_wrap=True,
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("stopping")


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
