"""A run is begun once, though a busy Airflow answers its POST with an error."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from airflow_provider_ifp.core.errors import ServiceError
from airflow_provider_ifp.demo.airflow_api import AirflowApi
from airflow_provider_ifp.demo.stack import AirflowAddress


@pytest.fixture
def airflow():
    """Answers runs with the statuses of `statuses`, in turn; what it got is in `runs`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = 200, {"access_token": "token"}
            if self.path.endswith("/dagRuns"):
                server.runs.append(body)
                status, answer = server.statuses.pop(0), body
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.statuses, server.runs = [], []
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("statuses", [[200], [500, 200], [500, 409]])
def test_a_run_is_asked_for_by_one_name_until_it_is_there(airflow, statuses):
    api = AirflowApi(AirflowAddress(f"http://127.0.0.1:{airflow.server_port}", "admin", "password"))
    airflow.statuses = [*statuses]
    begun = api.trigger("loop", {"force": True})
    assert [(run["dag_run_id"], run["conf"]) for run in airflow.runs] == [(begun, {"force": True})] * len(
        statuses
    )
    airflow.statuses = [404]
    with pytest.raises(ServiceError, match="/api/v2/dags/loop/dagRuns with 404"):
        api.trigger("loop", {})
    assert airflow.runs[-1]["dag_run_id"] != begun
