"""The server of the live page: what it answers, to whom, and how it ends."""

import json
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time

import httpx
import numpy as np
import pytest
from live import Server, capture, moving, record, until

import trainviz as tv
from trainviz.player.runs import RunTable
from trainviz.player.server import serve
from trainviz.recordings.packed import PackedMap


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with two runs, one of them in a folder within."""
    folder = tmp_path_factory.mktemp("runs")
    record(folder / "a.zarr", range(4)).close()
    record(folder / "sweep" / "b.zarr", range(2), n_classes=3).close()
    return folder


@pytest.fixture(scope="module")
def server(runs):
    running = Server(runs)
    yield running
    running.end()


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url) as client:
        yield client


def listed(client):
    return {run["name"]: run for run in client.get("/api/recordings").json()["runs"]}


def test_it_lists_the_runs_of_a_folder(client):
    found = listed(client)
    assert set(found) == {"a.zarr", "sweep/b.zarr"}
    run = found["a.zarr"]
    assert (run["count"], run["epoch"], run["state"]) == (4, 3, "idle")
    assert run["metrics"] == {"loss": 0.25}
    assert run["group"] != found["sweep/b.zarr"]["group"]


def test_the_facts_are_those_of_an_offline_page(client, runs, tmp_path):
    import re

    page = tv.open_recording(runs / "a.zarr").save_page(tmp_path / "a.html").read_text("utf-8")
    expected = json.loads(re.search(r'id="trainviz-facts">(.*?)</script>', page, re.S)[1])
    found = client.get(f"/api/r/{listed(client)['a.zarr']['id']}").json()
    assert found["recordings"][0] == {**expected["recordings"][0], "name": "a.zarr"}
    assert {key: found[key] for key in ("palettes", "scales", "mode", "seconds")} == {
        key: expected[key] for key in ("palettes", "scales", "mode", "seconds")
    }


def test_a_map_is_sent_as_it_is_on_the_disk(client, runs):
    run = listed(client)["a.zarr"]
    answer = client.get(f"/api/r/{run['id']}/snapshots/2", params={"version": run["version"]})
    expected = tv.open_recording(runs / "a.zarr")[2].probabilities
    np.testing.assert_array_equal(PackedMap(answer.content).dense(), expected)
    (chunk,) = (runs / "a.zarr").glob("probabilities/c.2.*")
    # The file has facts after its header of 36 bytes, and ends with a checksum.
    assert answer.content[36:] == chunk.read_bytes()[-4 - len(answer.content[36:]) : -4]


def test_what_a_version_names_stays_in_the_browsers_cache(client):
    run = listed(client)["a.zarr"]
    for address in ("snapshots/2", "thumbnails/2"):
        path = f"/api/r/{run['id']}/{address}?version={run['version']}"
        answer = client.get(path)
        assert "immutable" in answer.headers["cache-control"]
        again = client.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert "immutable" not in client.get(path.partition("?")[0]).headers["cache-control"]


@pytest.mark.parametrize("name", ["a.zarr", "sweep/b.zarr"])
def test_a_thumbnail_is_a_small_picture(client, name):
    import io

    from PIL import Image

    run = listed(client)[name]
    light, dark = (
        Image.open(io.BytesIO(client.get(f"/api/r/{run['id']}/thumbnails/1?dark={dark}").content))
        for dark in (0, 1)
    )
    assert light.size == dark.size == (160, 160)
    assert np.mean(np.asarray(light)) > np.mean(np.asarray(dark))


def test_news_are_the_facts_of_the_snapshots_since(client):
    run = listed(client)["a.zarr"]
    news = client.get(f"/api/r/{run['id']}?version={run['version']}&since=3").json()
    assert (news["epochs"], news["metrics"], news["total"]) == ([3], {"loss": [0.25]}, 4)
    assert "recordings" not in news


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_host_is_refused(server, host):
    # As after DNS rebinding, where another site's name points to this machine.
    for path in ("/", "/api/recordings"):
        answer = httpx.get(server.url + path[1:], headers={"host": host})
        assert answer.status_code == 400
        assert "a.zarr" not in answer.text


def test_localhost_is_answered(server):
    port = server.url.rstrip("/").rpartition(":")[2]
    assert httpx.get(
        f"{server.url}api/recordings", headers={"host": f"localhost:{port}"}
    ).is_success


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_nothing_but_get_is_answered(client, method):
    for path in ("/", "/api/recordings", "/api/events"):
        assert client.request(method, path).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd", "/api/r/../../etc/passwd", "/api/r/..%2f..%2fetc%2fpasswd",
        "/api/r/%2e%2e/snapshots/0", "/api/r/a.zarr", "/api/r/a.zarr/snapshots/0",
        "/api/r/ID/snapshots/99", "/api/r/ID/snapshots/-1", "/api/r/ID/snapshots/..%2f0",
        "/api/r/ID/thumbnails/99", "/static/live.js", "/trainviz",
    ],
)  # fmt: skip
def test_a_path_leads_nowhere(client, server, path):
    path = path.replace("ID", listed(client)["a.zarr"]["id"])
    host, port = server.url[7:-1].split(":")
    # Written by hand, because a client tidies the path up before it is sent.
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"root:" not in answer


@pytest.mark.parametrize("query", ["version=x&since=0", "version=1&since=-1", "version=&since=",
                                   f"version={'9' * 400}&since=1"])  # fmt: skip
def test_a_strange_query_gets_everything(client, query):
    answer = client.get(f"/api/r/{listed(client)['a.zarr']['id']}?{query}")
    assert answer.json()["recordings"][0]["epochs"] == [0, 1, 2, 3]


def test_every_answer_is_closed_to_other_sites(client):
    run = listed(client)["a.zarr"]
    for path in ("/", "/api/recordings", f"/api/r/{run['id']}/snapshots/0", "/nothing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_the_page_may_connect_to_its_server_alone(client):
    policy = client.get("/").headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert not [part for part in policy if "http" in part or "unsafe" in part or "*" in part]


def test_another_host_needs_the_token_of_this_start(serving, runs):
    first, second = serving(runs, "--host", "0.0.0.0"), serving(runs, "--host", "0.0.0.0")
    token, other = (each.address.partition("#token=")[2] for each in (first, second))
    assert len(token) >= 20
    assert token != other
    port = first.url.rstrip("/").rpartition(":")[2]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/").status_code == 200
        for path in (
            "/api/recordings",
            "/api/events",
            "/api/r/x",
            f"/api/recordings?token={token}",
        ):
            for sent in ({}, {"authorization": f"Bearer {other}"}, {"authorization": "Bearer x"}):
                answer = client.get(path, headers=sent)
                assert answer.status_code == 403
                assert "a.zarr" not in answer.text
        allowed = client.get("/api/recordings", headers={"authorization": f"Bearer {token}"})
        assert len(allowed.json()["runs"]) == 2


def test_a_port_in_use_is_said_and_the_next_free_one_taken(serving, runs):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = serving(runs, port=port)
        actual = int(server.url.rstrip("/").rpartition(":")[2])
        assert actual > port
        said = until(lambda: "".join(server.errors))
        assert said == f"trainviz: port {port} is in use, so this is port {actual}\n"
        assert httpx.get(server.url).is_success


def events(response):
    """Yield what the server tells."""
    for line in response.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line[6:])


def test_new_snapshots_are_told_of_within_a_second(serving, tmp_path):
    recorder = record(tmp_path / "a.zarr", range(1))
    server = serving(tmp_path)
    with httpx.stream("GET", f"{server.url}api/events", timeout=10) as response:
        told, took = events(response), []
        assert [run["count"] for run in next(told)["runs"]] == [1]
        for epoch in range(1, 6):
            capture(recorder, epoch)
            captured = time.monotonic()
            run = next(run for change in told for run in change["runs"] if run["count"] > epoch)
            took.append(time.monotonic() - captured)
            assert (run["epoch"], run["state"]) == (epoch, "recording")
        # Usually, since other processes may keep this machine busy.
        assert sorted(took)[2] < 1


def test_metrics_that_come_later_are_told_of_too(serving, tmp_path):
    recorder = record(tmp_path / "a.zarr", range(2))
    server = serving(tmp_path)
    with httpx.stream("GET", f"{server.url}api/events", timeout=10) as response:
        told = events(response)
        next(told)
        recorder.amend({"late": 7})
        run = next(run for change in told for run in change["runs"] if "late" in run["metrics"])
    news = httpx.get(f"{server.url}api/r/{run['id']}?version={run['version']}&since=1").json()
    assert news["metrics"]["late"] == [7]


def test_a_run_that_comes_later_is_found(serving, tmp_path):
    server = serving(tmp_path / "later")
    assert "it is shown once it is" in until(lambda: "".join(server.errors))
    with httpx.stream("GET", f"{server.url}api/events", timeout=10) as response:
        told = events(response)
        assert next(told)["runs"] == []
        record(tmp_path / "later" / "deep" / "a.zarr")
        assert next(told)["runs"][0]["name"] == "deep/a.zarr"


def test_one_slow_look_at_the_runs_delays_no_other(tmp_path, monkeypatch):
    path, slow, ends, told = tmp_path / "a.zarr", [], threading.Event(), queue.Queue()
    refresh = RunTable.refresh

    def look(table):
        if path.exists() and not slow:
            # As the first look at a recording, for which modules are imported from a slow disk.
            slow.append(time.sleep(0.5))
        refresh(table)

    monkeypatch.setattr(RunTable, "refresh", look)
    server = threading.Thread(
        target=serve, args=[[str(path)]], kwargs={"port": 0, "told": told.put, "until": ends.wait}
    )
    server.start()
    try:
        with httpx.stream("GET", f"{told.get()}api/events", timeout=5) as response:
            changes = events(response)
            assert next(changes)["runs"] == []
            recorder = record(path, range(1))
            next(run for change in changes for run in change["runs"] if run["count"] == 1)
            capture(recorder, 1)
            next(run for change in changes for run in change["runs"] if run["count"] == 2)
    finally:
        ends.set()
        server.join()
    assert slow


def test_what_is_replaced_has_another_version(serving, tmp_path):
    path = tmp_path / "a.zarr"
    record(path, range(5)).close()
    server = serving(path)
    with httpx.Client(base_url=server.url) as client:
        (before,) = listed(client).values()
        address = f"/api/r/{before['id']}"
        resumed = record(path, range(3, 5), resume=True)
        until(lambda: listed(client)["a.zarr"]["version"] != before["version"])
        found = client.get(f"{address}?version={before['version']}&since=4").json()
        assert (found["kept"], len(found["recordings"][0]["epochs"])) == (3, 5)
        gone = client.get(f"{address}/snapshots/4?version={before['version']}")
        assert gone.status_code == 410
        assert "continued from an earlier epoch" in gone.text
        resumed.close()
        record(path, range(2), overwrite=True).close()
        middle = found["version"]
        until(lambda: listed(client)["a.zarr"]["count"] == 2)
        assert client.get(f"{address}?version={middle}&since=4").json()["kept"] == 0
        shutil.rmtree(path)
        until(lambda: listed(client)["a.zarr"]["state"] == "gone")
        assert client.get(f"{address}/snapshots/1").status_code == 410
        record(path, range(3)).close()
        until(lambda: listed(client)["a.zarr"]["count"] == 3)


def test_a_killed_run_is_not_being_recorded(serving, tmp_path):
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[2])\n"
        "from live import record\n"
        "recorder = record(sys.argv[1]); print('ready', flush=True); time.sleep(60)"
    )
    here = __file__.rpartition("/")[0]
    training = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "a.zarr", here], stdout=subprocess.PIPE, text=True
    )
    try:
        assert training.stdout.readline() == "ready\n"
        server = serving(tmp_path)
        with httpx.Client(base_url=server.url) as client:
            assert listed(client)["a.zarr"]["state"] == "recording"
            training.kill()
            training.wait()
            until(lambda: listed(client)["a.zarr"]["state"] == "idle")
    finally:
        training.kill()
        training.stdout.close()


def test_a_damaged_run_is_said_and_the_others_are_shown(serving, tmp_path):
    record(tmp_path / "a.zarr").close()
    record(tmp_path / "b.zarr").close()
    (tmp_path / "b.zarr" / "zarr.json").write_text('{"attributes": {"trainviz": {"schema": 99}}}')
    server = serving(tmp_path)
    with httpx.Client(base_url=server.url) as client:
        found = listed(client)
        assert found["a.zarr"]["state"] == "idle"
        assert found["b.zarr"]["state"] == "damaged"
        assert "newer trainviz" in found["b.zarr"]["problem"]


def test_only_recordings_are_listed_and_each_once(serving, tmp_path):
    record(tmp_path / "deep" / "er" / "a.zarr").close()
    (tmp_path / "deep" / "again").symlink_to(tmp_path / "deep", target_is_directory=True)
    record(tmp_path / ".hidden" / "b.zarr").close()
    group = tmp_path / "foreign.zarr"
    group.mkdir()
    (group / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    (tmp_path / "notes.txt").write_text("no recording")
    server = serving(tmp_path)
    with httpx.Client(base_url=server.url) as client:
        assert set(listed(client)) == {"deep/er/a.zarr"}


def test_an_archive_is_shown(serving, tmp_path):
    recording = record(tmp_path / "a.zarr").recording
    recording.save(tmp_path / "b.zarr.zip")
    server = serving(tmp_path / "b.zarr.zip")
    with httpx.Client(base_url=server.url) as client:
        (run,) = listed(client).values()
        assert run["count"] == 3
        answer = client.get(f"/api/r/{run['id']}/snapshots/2")
        assert answer.content == recording[2].map.payload


@pytest.mark.parametrize("output", ["values", "multilabel"])
def test_other_outputs_have_facts_and_thumbnails(serving, tmp_path, output):
    domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=12)
    recorder = tv.Recorder(domain, output=output, path=tmp_path / "a.zarr")

    def predict(X):
        return X[:, 0] * epoch if output == "values" else (X - 0.1 * epoch > 0) * 1.0

    for epoch in range(1, 4):
        recorder.capture(predict, epoch=epoch)
    server = serving(tmp_path)
    with httpx.Client(base_url=server.url) as client:
        (run,) = listed(client).values()
        facts = client.get(f"/api/r/{run['id']}").json()
        assert facts["recordings"][0]["limits"] == ([-3, 3] if output == "values" else None)
        assert facts["mode"] == ("values" if output == "values" else "probability")
        assert client.get(f"/api/r/{run['id']}/thumbnails/1").is_success


def test_names_stay_text(serving, tmp_path):
    name = "<img src=x onerror=alert(1)> \u0634\u0628\u0643\u0629.zarr"
    record(tmp_path / name).close()
    server = serving(tmp_path)
    answer = httpx.get(f"{server.url}api/recordings")
    assert answer.json()["runs"][0]["name"] == name
    assert answer.headers["content-type"] == "application/json"


def test_ctrl_c_ends_it_within_two_seconds_with_open_streams(serving, tmp_path):
    recorder = record(tmp_path / "a.zarr")
    server = serving(tmp_path)
    host, port = server.url[7:-1].split(":")
    streams = [socket.create_connection((host, int(port))) for _ in range(5)]
    for stream in streams:
        stream.sendall(f"GET /api/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert b"200 OK" in stream.recv(200)
    capture(recorder, 9)
    assert server.interrupt() < 2
    assert server.process.returncode == 0
    for stream in streams:
        stream.close()


def memory_of(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_browser_that_does_not_read_costs_no_memory_and_no_time(serving, tmp_path):
    # The names of the metrics make each event a megabyte large.
    metrics = {str(k) * 330_000: 1.0 for k in range(3)}
    recorder = record(tmp_path / "a.zarr", ())
    recorder.append(np.full((2, 24, 24), 0.5), epoch=0, metrics=metrics)
    server = serving(tmp_path)
    host, port = server.url[7:-1].split(":")
    stuck = [socket.socket() for _ in range(8)]
    for stream in stuck:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        stream.connect((host, int(port)))
        stream.sendall(f"GET /api/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    with httpx.stream("GET", f"{server.url}api/events", timeout=10) as response:
        told = events(response)
        next(told)
        before = memory_of(server.process.pid)
        for epoch in range(1, 21):
            recorder.append(np.full((2, 24, 24), 0.5), epoch=epoch, metrics=metrics)
            begun = time.monotonic()
            next(run for change in told for run in change["runs"] if run["epoch"] == epoch)
            assert time.monotonic() - begun < 5
    assert memory_of(server.process.pid) - before < 50 * 2**20
    assert server.interrupt() < 2
    for stream in stuck:
        stream.close()


def test_a_missing_extra_is_named():
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'starlette': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing)\n"
        "from trainviz.cli.main import main; raise SystemExit(main(['serve', 'runs']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'pip install "trainviz[live]"' in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runs", "--port", "70000"], "'70000' is no port; expected 0 to 65535"),
        (["runs", "--port", "x"], "'x' is no port"),
        ([], "Missing argument 'PATH...'"),
    ],
)
def test_a_wrong_command_line_is_explained(arguments, says, capsys):
    from trainviz.cli.main import main

    assert main(["serve", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_host_that_is_none_of_this_machine_is_said(capsys):
    from trainviz.cli.main import main

    assert main(["serve", "runs", "--host", "203.0.113.7"]) == 1
    assert "--host 203.0.113.7" in capsys.readouterr().err


def test_a_recorder_serves_its_run_in_a_process_of_its_own(tmp_path):
    recorder = record(tmp_path / "a.zarr", range(2))
    server = recorder.serve(port=0)
    try:
        with httpx.Client(base_url=server.url) as client:
            assert listed(client)["a.zarr"]["count"] == 2
            capture(recorder, 2)
            until(lambda: listed(client)["a.zarr"]["count"] == 3)
        assert server.url in repr(server)
        assert f'href="{server.url}"' in server._repr_html_()
    finally:
        server.close()
    assert not server.is_running
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_its_server_ends_with_the_process_that_trains(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from live import record\n"
        "recorder = record(sys.argv[1])\n"
        "print(recorder.serve(port=0).url, flush=True); sys.stdin.readline()\n"
        "import os; os._exit(1)"
    )
    here = __file__.rpartition("/")[0]
    training = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "a.zarr", here],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    url = training.stdout.readline().strip()
    assert httpx.get(url).is_success
    training.communicate("\n")

    def is_gone():
        try:
            httpx.get(url)
        except httpx.TransportError:
            return True
        return False

    until(is_gone)


def test_a_recorder_without_a_path_says_what_it_needs():
    recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=3))
    with pytest.raises(ValueError, match=r"path='runs/a\.zarr'"):
        recorder.serve()


def test_serving_draws_no_random_numbers(tmp_path):
    import random

    def numbers(serve):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        recorder = record(tmp_path / f"{serve}.zarr", range(1))
        server = recorder.serve(port=0) if serve else None
        recorder.capture(lambda X: moving(X, 1, 2), epoch=1)
        found = random.random(), np.random.random()  # noqa: NPY002
        if server is not None:
            server.close()
        return found

    assert numbers(False) == numbers(True)
