"""What `ifp serve` refuses before it answers anybody: a line, and exit code 2."""

import socket

import pytest

from airflow_provider_ifp.cli import main
from airflow_provider_ifp.core.errors import ModelError, PredictionLogError, ServiceError
from airflow_provider_ifp.serving.front.options import ServeOptions
from airflow_provider_ifp.serving.front.server import serve

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def asked(tmp_path):
    """Options of a server whose registry is away."""

    def asked(**options):
        given = {"model": "fares", "port": 0, "cache": tmp_path / "cache", "tracking_uri": NOWHERE, **options}
        return ServeOptions(**given)

    return asked


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a/../b"], "MODEL 'a/../b': expected letters, digits, _ and - only"),
        (["fares", "--port", "99999"], "--port 99999: expected 0 (a free one) to 65535"),
        (["fares", "--roll", "0"], "--roll 0.0: expected more than 0"),
        (["fares", "--queue", "-1"], "--queue -1: expected more than 0"),
        (["fares", "--policy", "other.yaml"], "it is of model 'other', not 'fares'"),
        (["fares", "--token-file", "nothing"], "--token-file nothing cannot be read"),
        (["fares", "--token-file", "empty"], "--token-file empty is empty; write the token into it"),
    ],
)
def test_wrong_words_are_told_in_a_line(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.yaml").write_text("model: other\nshadow: {mode: live}\n")
    (tmp_path / "empty").write_text("\n")
    assert main(["serve", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert "Traceback" not in printed.err


def test_a_port_that_is_taken_is_told(asked):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ServiceError, match=r"already in use.*; choose another --port"),
    ):
        serve(asked(port=taken.getsockname()[1]))


def test_a_cache_that_cannot_be_made_is_told(asked, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot be made: Not a directory; choose another --cache"):
        serve(asked(cache=tmp_path / "file"))


def test_a_log_that_can_never_be_written_ends_the_server(asked):
    with pytest.raises(PredictionLogError, match="no file system for ftp9"):
        serve(asked(log="ftp9://nowhere"))
