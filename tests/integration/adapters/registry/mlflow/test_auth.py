"""MLflow with basic auth: who may not is told so, logins do not mix, and no password is ever shown."""

import logging
import os
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
import requests
from airflow.models.connection import Connection
from tests.auth_server import ADMIN, READER, TRAINER

from airflow_provider_ifp.adapters.registry.ledger import record, resolve
from airflow_provider_ifp.adapters.registry.mlflow.auth import HeldAuth, held_address
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.cli import main
from airflow_provider_ifp.core.errors import RegistryDeniedError, VersionNotFoundError
from airflow_provider_ifp.core.registry.moves import Attempt, Promotion, plan_promotion
from airflow_provider_ifp.hooks.registry import ModelRegistryHook
from airflow_provider_ifp.training.loading import fetch

PERSON = Attempt(actor="anna", time="2026-01-02T03:04:05+00:00", nonce="n", by="person", reason="because")
server = pytest.mark.server


@pytest.fixture
def reader(auth_server):
    return MlflowRegistry(auth_server.uri, *READER)


@pytest.fixture
def everything_logged(caplog):
    """All that any logger says meanwhile, at its most talkative."""
    for name in ("", "urllib3", "requests", "mlflow"):
        caplog.set_level(logging.DEBUG, name or None)
    return caplog


def denied(act):
    """The message of the refusal, which must come at once, and must show no password down its causes."""
    started = time.monotonic()
    with pytest.raises(RegistryDeniedError) as told:
        act()
    assert time.monotonic() - started < 20
    shown = "".join(traceback.format_exception(told.value))
    assert not any(password in shown for _, password in (ADMIN, TRAINER, READER))
    return str(told.value)


def promote(registry, model):
    change = Promotion(version="1", target="production")
    return record(registry, model, lambda ledger: plan_promotion(ledger, PERSON, change))


@server
@pytest.mark.parametrize("login", [(TRAINER[0], "wrong"), ("nobody", "knows-this"), (TRAINER[0], "")])
def test_a_wrong_login_is_told_at_once_with_what_to_do(auth_server, login):
    message = denied(lambda: MlflowRegistry(auth_server.uri, *login))
    assert message == (
        f"MLflow at {auth_server.uri} refuses the credentials of user {login[0]!r} (HTTP 401); set login and "
        "password of the Airflow connection 'ifp_default', or MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD"
    )


@server
def test_a_missing_login_is_told_apart_from_a_wrong_one(auth_server):
    message = denied(lambda: MlflowRegistry(auth_server.uri))
    assert "asks for credentials, and there are none (HTTP 401); set login" in message


@server
def test_the_environments_login_and_the_addresss_own_work_too(auth_server, auth_registry, model, monkeypatch):
    auth_registry.start_run(model, name="a training", tags={})
    held = held_address(auth_server.uri, *TRAINER)
    written = auth_server.uri.replace("://", f"://{TRAINER[0]}:{quote(TRAINER[1], safe='')}@")
    assert written != held
    assert MlflowRegistry(written).uri == auth_server.uri
    monkeypatch.setenv("MLFLOW_TRACKING_URI", written)
    assert MlflowRegistry().uri == auth_server.uri
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", TRAINER[0])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", TRAINER[1])
    monkeypatch.delenv("MLFLOW_TRACKING_AUTH")
    assert MlflowRegistry(auth_server.uri).uri == auth_server.uri


@server
def test_a_reader_loads_and_sees_all_and_may_change_nothing(
    auth_registry, reader, model, add_version, tmp_path
):
    made = add_version(auth_registry, model)
    promote(auth_registry, model)
    fetch(reader, resolve(reader, model, "@production"), tmp_path / "fetched")
    assert reader.versions(model) == (made,)
    assert reader.get_file(made.run_id, "ifp/provenance.json")
    acts = {
        "write runs (HTTP 403, /api/2.0/mlflow/runs/create)": lambda: add_version(reader, model),
        "write runs (HTTP 403, /api/2.0/mlflow/runs/update)": lambda: reader.finish_run(
            made.run_id, "FAILED"
        ),
        "write runs (HTTP 403, /api/2.0/mlflow/runs/log-parameter)": lambda: reader.put_entry(
            model, "promotion", "event-2", "{}"
        ),
        "write artifacts (HTTP 403, /api/2.0/mlflow-artifacts/": lambda: reader.put_file(
            made.run_id, "ifp/more.json", b"{}"
        ),
        "write registered-models (HTTP 403, ": lambda: reader.project(model, {"staging": "1"}),
        "write model-versions (HTTP 403, ": lambda: reader.create_version(
            model, run_id=made.run_id, stored=made.stored, tags={}, nonce="other"
        ),
    }
    for expected, act in acts.items():
        message = denied(act)
        assert message.startswith(f"MLflow at {reader.uri}: user 'reader' may not {expected}")
        assert message.endswith(
            "let its administrator grant the permission on this model's experiment and registered model, or "
            "use another login"
        )
    assert auth_registry.aliases(model) == {"production": "1"}
    assert auth_registry.versions(model) == (made,)
    assert auth_registry.get_file(made.run_id, "ifp/more.json") is None


@server
def test_a_reader_that_is_shut_out_of_a_model_is_told_so(
    auth_server, auth_registry, reader, model, add_version
):
    made = add_version(auth_registry, model)
    experiment = auth_registry._client.get_experiment_by_name(model).experiment_id
    auth_server.grant(READER[0], "DENY", "experiment", experiment)
    auth_server.grant(READER[0], "DENY", "registered_model", model)
    for act in (
        lambda: reader.get_file(made.run_id, "ifp/provenance.json"),
        lambda: reader.stored_models(model, made.content_digest),
    ):
        assert "user 'reader' may not read" in denied(act)
    with pytest.raises(VersionNotFoundError, match="or user 'reader' may not read it; its versions: none"):
        reader.version(model, "1")


@server
def test_two_logins_work_at_once_from_threads_of_one_process(auth_registry, reader, model, add_version):
    made = add_version(auth_registry, model)
    wrong = []

    def write(number):
        auth_registry.put_file(made.run_id, f"ifp/{number}.json", b"{}")
        auth_registry.put_entry(model, "training", f"key-{number}", "text")
        return auth_registry.get_file(made.run_id, f"ifp/{number}.json")

    def fail(number):
        try:
            reader.put_file(made.run_id, f"ifp/{number}-wrong.json", b"{}")
            wrong.append(number)
        except RegistryDeniedError:
            return reader.get_file(made.run_id, "ifp/provenance.json")

    with ThreadPoolExecutor(8) as threads:
        results = [threads.submit(act, number) for number in range(12) for act in (write, fail)]
        assert all(result.result() for result in results)
    assert wrong == []
    assert len(auth_registry.entries(model, "training")) == 12
    assert {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"}.isdisjoint(os.environ)


@server
def test_a_wrong_password_takes_nothing_from_the_same_users_right_one(auth_server, auth_registry, model):
    denied(lambda: MlflowRegistry(auth_server.uri, TRAINER[0], "wrong"))
    assert auth_registry.start_run(model, name="a training", tags={})


@server
def test_the_hook_tells_a_wrong_password_and_works_with_the_right_one(auth_server, model, monkeypatch):
    hook = ModelRegistryHook("ifp_default")
    for password, worked in (("wrong", False), (TRAINER[1], True)):
        there = Connection(
            conn_id="ifp_default",
            conn_type="ifp_registry",
            host=auth_server.uri,
            login=TRAINER[0],
            password=password,
        )
        monkeypatch.setattr(ModelRegistryHook, "get_connection", lambda _, __, there=there: there)
        answered, message = hook.test_connection()
        assert answered is worked
        assert ("answers" if worked else "refuses the credentials of user 'trainer'") in message
        assert TRAINER[1] not in message


@server
def test_no_log_print_or_child_ever_has_the_password(
    auth_server, model, add_version, everything_logged, capfd
):
    registry = MlflowRegistry(auth_server.uri, *TRAINER)
    made = add_version(registry, model)
    promote(registry, model)
    with TemporaryDirectory() as folder:
        fetch(registry, made, Path(folder))
    subprocess.run([sys.executable, "-S", "-c", "import os; print(dict(os.environ))"], check=True)
    printed = "".join(capfd.readouterr())
    assert "'MLFLOW_TRACKING_AUTH': 'ifp'" in printed
    assert "/api/2.0/mlflow/runs/create" in everything_logged.text
    for text in (everything_logged.text, printed, repr(vars(registry)), registry.uri):
        assert TRAINER[1] not in text
        assert quote(TRAINER[1], safe="") not in text


def test_an_address_that_holds_a_handle_already_stays_as_it_is():
    address = held_address("http://mlflow:5000", "anna", "secret")
    assert "secret" not in address
    assert held_address(address, None, None) == address


def test_an_address_without_a_user_or_a_server_stays_as_it_is():
    for address in ("http://mlflow:5000/ml", "https://mlflow", "sqlite:////var/mlflow.db", "databricks"):
        assert held_address(address, None, None) == address
    assert "MLFLOW_TRACKING_AUTH" not in os.environ


def test_a_plugin_that_the_user_named_signs_instead_of_us(monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "kubernetes")
    assert held_address("http://mlflow:5000", "anna", "secret") == "http://mlflow:5000"
    assert os.environ["MLFLOW_TRACKING_AUTH"] == "kubernetes"
    [told] = caplog.messages
    assert told.startswith("MLFLOW_TRACKING_AUTH is set and signs the requests to http://mlflow:5000; ")
    assert told.endswith("user 'anna' and its password are not used")


@pytest.mark.parametrize("password", ["pä\N{SNOWMAN}: @/%?#", ""])
def test_a_request_gets_the_password_for_its_handle_and_no_other_users_cookie(password):
    address = held_address("https://old:stale@mlflow:5000/ml", "anna:b@c", password)
    sent = requests.Request(
        "GET", f"{address}/api", auth=HeldAuth().get_auth(), cookies={"session": "another's"}
    )
    prepared = sent.prepare()
    expected = requests.auth._basic_auth_str(b"anna:b@c", password.encode())
    assert prepared.headers["Authorization"] == expected
    assert "Cookie" not in prepared.headers


def test_requests_to_other_servers_are_signed_as_if_we_were_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine known login n password p\n")
    for url in ("http://else/api", "http://u:p@else/api", "http://known/api"):
        signed, plain = (
            requests.Session().prepare_request(
                requests.Request("GET", url, headers={"Authorization": "Bearer t"}, auth=auth)
            )
            for auth in (HeldAuth().get_auth(), None)
        )
        assert signed.headers.get("Authorization") == plain.headers.get("Authorization")


@server
def test_the_command_line_tells_a_refusal_in_one_line_and_exits_with_2(
    auth_server, auth_registry, model, add_version, capsys
):
    add_version(auth_registry, model)
    promote(auth_registry, model)
    refusals = {
        ("versions", model): ("wrong-and-secret", "refuses the credentials of user 'reader'"),
        ("promote", model, "1", "--to", "staging", "--reason", "r"): (
            READER[1],
            "user 'reader' may not write runs",
        ),
    }
    for command, (password, why) in refusals.items():
        address = auth_server.uri.replace("://", f"://{READER[0]}:{password}@")
        assert main([*command, "--tracking-uri", address]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert why in printed.err
        assert printed.err.count("\n") == 1
        assert password not in printed.err
