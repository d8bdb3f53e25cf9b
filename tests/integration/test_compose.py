"""`docker-compose.yaml` as far as it can be held without a Docker engine."""

import re
import shutil
import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from airflow_provider_ifp.provider_info import get_provider_info

pytestmark = pytest.mark.airflow

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_ifp"
FILE = ROOT / "docker-compose.yaml"
TEXT = FILE.read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
ONE_SHOT = {"airflow-migrate", "create-buckets"}
# Shell variables inside a command are written $$; what stands behind one $ is Compose's.
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:[?-][^}]*)?\}")


def airflow_environment(name):
    return SERVICES[name]["environment"]


def airflow_options():
    """(section, option) of Airflow's configuration, its Celery provider's (not installed here), and ours."""
    templates = resources.files("airflow.config_templates")
    described = yaml.safe_load(templates.joinpath("config.yml").read_text(encoding="utf-8"))
    described |= get_provider_info()["config"]
    known = {(name, option) for name, section in described.items() for option in section["options"]}
    fallback = templates.joinpath("provider_config_fallback_defaults.cfg").read_text(encoding="utf-8")
    celery = fallback.partition("\n[celery]\n")[2].partition("\n[")[0]
    # The provider describes it, and gives it no default.
    return (
        known
        | {("celery", line.split(" =")[0]) for line in celery.splitlines()}
        | {("celery", "result_backend")}
    )


def test_it_follows_the_compose_specification():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_has_what_a_real_deployment_needs():
    commands = {" ".join(service.get("command", [])).partition(" --")[0] for service in SERVICES.values()}
    parts = ("api-server", "scheduler", "dag-processor", "triggerer", "celery worker")
    assert {f"airflow {part}" for part in parts} | {"mlflow server"} <= commands
    queues = {name: SERVICES[name]["command"] for name in SERVICES if name.startswith("worker-")}
    assert "--queues=default" in queues["worker-default"]
    assert "--queues=gpu" in queues["worker-gpu"]
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_refers_to_is_there(name):
    service = SERVICES[name]
    if "build" in service:
        assert (ROOT / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    for awaited, how in service.get("depends_on", {}).items():
        finishes = how["condition"] == "service_completed_successfully"
        assert finishes == (awaited in ONE_SHOT)
        assert finishes or "healthcheck" in SERVICES[awaited]
    for volume in service.get("volumes", []):
        source = VARIABLE.sub(lambda found: found[2].removeprefix(":-"), volume).split(":")[0]
        assert source in COMPOSE["volumes"] or (ROOT / source).exists()
    for config in service.get("configs", []):
        assert config["source"] in COMPOSE["configs"]


def test_a_server_has_a_health_check_and_is_started_again_while_a_job_runs_once():
    servers = SERVICES.keys() - ONE_SHOT
    assert {name for name in servers if "healthcheck" not in SERVICES[name]} == set()
    assert {SERVICES[name]["restart"] for name in servers} == {"unless-stopped"}
    assert {SERVICES[name]["restart"].partition(":")[0] for name in ONE_SHOT} == {"on-failure"}


def test_every_variable_for_airflow_names_an_option_that_airflow_knows():
    named = {
        tuple(part.lower() for part in key.removeprefix("AIRFLOW__").split("__"))
        for service in SERVICES.values()
        for key in service.get("environment", {})
        if key.startswith("AIRFLOW__")
    }
    assert {("core", "execution_api_server_url"), ("api_auth", "jwt_secret"), ("ifp", "predictions")} <= named
    assert named - airflow_options() == set()


def test_every_database_url_names_the_driver_that_the_images_install():
    # Without a name SQLAlchemy 2.1 takes psycopg 3.
    urls = re.findall(r"\S*postgresql\S*://", TEXT)
    assert len(urls) == 3
    assert {url.rpartition("=")[2].removeprefix("db+") for url in urls} == {"postgresql+psycopg2://"}
    assert all('"psycopg2-binary"' in path.read_text() for path in DOCKERFILES)


def test_every_part_of_airflow_has_the_same_environment():
    parts = [
        name for name in SERVICES if SERVICES[name].get("image") == SERVICES["airflow-scheduler"]["image"]
    ]
    assert len(parts) == 7
    expected = airflow_environment("airflow-scheduler")
    for name in parts:
        assert airflow_environment(name).items() >= expected.items()


def test_airflow_finds_mlflow_under_a_name_that_mlflow_answers_to():
    connection = yaml.safe_load(airflow_environment("airflow-scheduler")["AIRFLOW_CONN_IFP_DEFAULT"])
    assert connection == {"conn_type": "ifp_registry", "host": "http://mlflow:5000"}
    options = dict(text.removeprefix("--").split("=", 1) for text in SERVICES["mlflow"]["command"][2:])
    assert "mlflow:5000" in options["allowed-hosts"].split(",")
    assert options["port"] == "5000"


def test_the_options_of_the_mlflow_server_are_those_of_its_command_line():
    command = [sys.executable, "-m", "mlflow", "server", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^  (?:-\w, )?(--[\w-]+) ", shown, re.MULTILINE))
    used = {text.split("=")[0] for text in SERVICES["mlflow"]["command"][2:]}
    assert used - known == set()


def test_every_bucket_that_is_named_is_made():
    made = set(SERVICES["create-buckets"]["command"][2:])
    assert set(re.findall(r"s3://(\w+)", TEXT)) == made


def test_every_secret_comes_from_the_environment_and_the_example_lists_it():
    required = {name for name, rest in VARIABLE.findall(TEXT) if rest.startswith(":?")}
    optional = {name for name, rest in VARIABLE.findall(TEXT) if rest.startswith(":-")}
    assert {name for name, _ in VARIABLE.findall(TEXT)} == required | optional
    example = (ROOT / "docker" / "env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == required
    assert set(re.findall(r"^# (\w+)=", example, re.MULTILINE)) == optional


def copied_by(path):
    lines = re.findall(r"^COPY (.+) \S+$", path.read_text(), re.MULTILINE)
    return [source for sources in lines for source in sources.split()]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_dockerfile_copies_what_is_there_and_what_the_docker_ignore_file_lets_through(path):
    let_through = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    for source in copied_by(path):
        assert (ROOT / source).exists()
        assert source in let_through


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_this_package_builds_from_what_a_dockerfile_copies(path, tmp_path):
    for source in copied_by(path):
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / source)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=tmp_path, check=True)
    (wheel,) = tmp_path.glob("dist/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert f"{PACKAGE}/core/policy/model.py" in archive.namelist()
        assert f"{PACKAGE}/demo/dags/ifp_loop.py" in archive.namelist()


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_dockerfile_installs_this_package_within_the_constraints(path):
    text = path.read_text(encoding="utf-8")
    assert "-c constraints.txt" in text
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", text)
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert {
        name for name in extras.split(",") if not re.search(rf"^{name} = \[", pyproject, re.MULTILINE)
    } == set()
    # The image has one uv, and it is the Makefile's.
    (version,) = re.findall(r'"uv==([\d.]+)"', text)
    assert f'"uv=={version}"' in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_celery_stays_below_the_version_that_airflow_breaks_with():
    text = (ROOT / "docker" / "airflow.Dockerfile").read_text(encoding="utf-8")
    pins = {Requirement(pin).name: Requirement(pin) for pin in re.findall(r'"(celery[^"]*)"', text)}
    assert "5.6.3" in pins["celery"].specifier
    assert "5.7.0" not in pins["celery"].specifier
