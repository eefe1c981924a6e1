"""The live page in a real browser, beside processes that train."""

import json
import re
import shutil
import time

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from live import Training, capture, record, until

import trainviz as tv

pytestmark = [pytest.mark.slow, pytest.mark.browser]

NAME = "</script><img src=x onerror=alert(1)> \u202eabc " + "x" * 150


@pytest.fixture
def training():
    """Return a function that starts a training process, which ends with the test."""
    started = []

    def start(path, first=0):
        started.append(Training(path, first))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


@pytest.fixture
def open_page(browser):
    """Return a function that opens a page, and fails where it complains or asks others."""
    complaints, opened, asked = [], [], set()

    def show(address, *, width=1280, height=800, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        page = context.new_page()
        opened.append(context)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.add(request.url.split("/")[2]))
        page.goto(address)
        return page

    yield show
    for context in opened:
        context.close()
    assert complaints == []
    assert len(asked - {""}) <= 1


def says(page, selector):
    return page.locator(selector).text_content()


def wait(page, selector, text, seconds=10):
    """Wait until an element contains a text."""
    # In one step, as an element that is there may be replaced at any time.
    until(
        lambda: any(text in found for found in page.locator(selector).all_text_contents()), seconds
    )


def epoch(page):
    return says(page, ".tv-counter")


def painted(page):
    """Wait until the last snapshot is on the screen, and return its epoch."""
    code = (
        "((p) => p?.complete && p.state.position === p.last && p.shown?.[0] "
        "=== p.store.get(0, p.last) && p.times[p.last])(globalThis.trainvizPlayer)"
    )
    return page.evaluate(code)


def test_it_follows_a_training_process_that_is_killed_and_resumed(
    serving, training, open_page, tmp_path
):
    path = tmp_path / "a.zarr"
    page = open_page(serving(path).address)
    wait(page, "main", "No run is here yet")
    run = training(path)
    page.wait_for_selector("[data-ready]")
    wait(page, ".tv-status", "Recording, 1 snapshot")
    took = []
    for _ in range(4):
        number = run.epoch()
        captured = time.monotonic()
        until(lambda number=number: painted(page) == number)
        took.append(time.monotonic() - captured)
    # Usually, since other processes may keep this machine busy.
    assert sorted(took)[1] < 1
    assert epoch(page) == "epoch 4"

    # Whoever looks back is left alone until Follow is switched on again.
    follow = page.get_by_role("switch", name="Follow")
    assert follow.is_checked()
    page.keyboard.press(",")
    assert not follow.is_checked()
    run.epoch()
    wait(page, ".tv-status", "Recording, 6 snapshots")
    assert epoch(page) == "epoch 3"
    follow.check()
    until(lambda: epoch(page) == "epoch 5")

    run.kill()
    wait(page, ".tv-status", "Not being recorded, 6 snapshots")
    run = training(path, first=2)
    run.epoch()
    wait(page, ".tv-says", "a.zarr is continued from epoch 2; what came after was replaced.")
    wait(page, ".tv-status", "Recording, 4 snapshots")
    until(lambda: epoch(page) == "epoch 3")
    run.epoch()
    until(lambda: painted(page) == 4)
    run.kill()

    shutil.rmtree(path)
    wait(page, ".tv-status", "Deleted; what the page has loaded stays, 5 snapshots")
    assert page.locator(".tv-note").is_hidden()
    run = training(path)
    wait(page, ".tv-says", "a.zarr was recorded anew.")
    wait(page, ".tv-status", "Recording, 1 snapshot")
    run.epoch()
    until(lambda: epoch(page) == "epoch 1")


def test_a_run_that_could_not_be_opened_is_tried_again_when_it_has_grown(
    serving, open_page, tmp_path
):
    server = serving(tmp_path / "a.zarr")
    page = open_page(server.address)
    wait(page, "main", "No run is here yet")
    asked = []

    def fail_once(route):
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=500, body="a bad moment")
        else:
            route.continue_()

    page.route(re.compile(r"/api/r/\w+$"), fail_once)
    recorder = record(tmp_path / "a.zarr", range(1))
    wait(page, "#trainviz", "The runs cannot be opened: a bad moment")
    capture(recorder, 1)
    page.wait_for_selector("[data-ready]")
    wait(page, ".tv-status", "Recording, 2 snapshots")


def test_a_run_that_is_asked_for_before_its_first_snapshot_is_shown_with_it(
    serving, open_page, tmp_path
):
    path = tmp_path / "a.zarr"
    record(tmp_path / "other.zarr").recording[:0].save(path)
    server = serving(path)
    run = httpx.get(f"{server.url}api/recordings").json()["runs"][0]
    page = open_page(f"{server.url}?runs={run['id']}")
    wait(page, "#trainviz", "a.zarr: waiting for the first snapshot")
    _recorder = record(path, range(1), overwrite=True)
    page.wait_for_selector("[data-ready]")
    wait(page, ".tv-status", "Recording, 1 snapshot")


def test_what_is_shown_grows_with_the_recording(serving, open_page, tmp_path):
    data = ([[-0.5, 0.2], [0.1, -0.3], [0.7, 0.4]], [0, 1, 1])
    recorder = record(tmp_path / "a.zarr", range(3), data=data)
    page = open_page(serving(tmp_path).address)
    page.wait_for_selector("[data-ready]")
    box = page.locator(".tv-overlay").first.bounding_box()
    page.mouse.click(box["x"] + 0.45 * box["width"], box["y"] + 0.5 * box["height"])
    page.wait_for_selector(".tv-pin")
    for number in range(3, 8):
        capture(recorder, number)
    recorder.amend({"late": 0.5})
    until(lambda: "late" in says(page, ".tv-curves"))
    pin = "(trainvizPlayer.samples[0].pins[0] ?? [])"  # Not there until it is asked for anew.
    known = f"{pin}.filter((v) => !Number.isNaN(v)).length"
    until(lambda: page.evaluate(known) == 8 * 2)
    page.get_by_role("tab", name="Points").click()
    shown = [row.split() for row in page.locator(".tv-scroll tbody tr").all_inner_texts()]
    found = tv.dynamics(tv.open_recording(tmp_path / "a.zarr"))
    for cells in shown:
        assert cells[-2] == f"{found.first_learnt[int(cells[0])]:g}"
    guesses = page.evaluate("[...trainvizPlayer.main.predictions]")
    expected = [s.data_predictions.tolist() for s in recorder.recording]
    assert guesses == [guess for row in expected for guess in row]
    page.keyboard.press("End")
    assert page.evaluate("trainvizPlayer.times") == list(range(8))


def test_a_folder_is_a_list_of_which_several_are_shown_side_by_side(serving, open_page, tmp_path):
    recorders = [record(tmp_path / name, range(3)) for name in ("b2.zarr", "b10.zarr")]
    record(tmp_path / "other.zarr", range(2), n_classes=3).close()
    page = open_page(serving(tmp_path).address)
    page.wait_for_selector(".tv-run")
    assert page.locator(".tv-run b").all_inner_texts() == ["b2.zarr", "b10.zarr", "other.zarr"]
    assert "3 runs, 2 being recorded" in says(page, "header")
    until(lambda: page.locator(".tv-thumbnail:visible").count() == 3)
    before = page.locator(".tv-thumbnail").first.get_attribute("src")
    capture(recorders[0], 3)
    wait(page, ".tv-run >> nth=0", "epoch 3, 4 snapshots")
    until(lambda: page.locator(".tv-thumbnail").first.get_attribute("src") != before)

    boxes = page.get_by_label("Side by side")
    boxes.nth(0).check()
    assert boxes.nth(2).is_disabled()
    assert "1 run has other classes" in says(page, "main > .tv-hint")
    boxes.nth(1).check()
    page.get_by_role("button", name="Show 2 side by side").click()
    page.wait_for_selector("[data-ready]")
    captions = page.locator(".tv-view figcaption").all_inner_texts()
    assert captions[:2] == ["b2.zarr", "b10.zarr"]
    assert captions[2].startswith("Disagreement")
    capture(recorders[1], 4)
    until(lambda: epoch(page) == "epoch 4")
    wait(page, ".tv-status", "b10.zarr: Recording, 4 snapshots")
    page.reload()
    page.wait_for_selector("[data-ready]")
    assert page.locator(".tv-view").count() == 3

    page.get_by_role("button", name="All runs").click()
    page.wait_for_selector(".tv-run")
    page.get_by_role("link", name="other.zarr").click()
    page.wait_for_selector("[data-ready]")
    assert says(page, "h1") == "other.zarr"
    page.go_back()
    page.wait_for_selector(".tv-run")
    # The keys of a player that was closed do nothing any more.
    page.keyboard.press("?")
    assert page.locator("dialog").count() == 0


def test_a_hidden_page_closes_its_stream_and_catches_up(serving, open_page, tmp_path):
    recorder = record(tmp_path / "a.zarr", range(2))
    page = open_page(serving(tmp_path).address)
    page.wait_for_selector("[data-ready]")
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.evaluate(hide, True)
    until(lambda: not page.evaluate("trainvizLive.connected"))
    capture(recorder, 2)
    page.wait_for_timeout(1500)
    assert requests == []
    page.evaluate(hide, False)
    until(lambda: epoch(page) == "epoch 2")
    assert says(page, ".tv-status") == "Recording, 3 snapshots"


def test_a_server_that_ends_is_said_and_one_that_returns_is_found(serving, open_page, tmp_path):
    recorder = record(tmp_path / "a.zarr", range(2))
    server = serving(tmp_path)
    page = open_page(server.address)
    page.wait_for_selector("[data-ready]")
    assert server.interrupt() < 2
    wait(page, ".tv-status", "The server does not answer")
    page.keyboard.press(",")
    until(lambda: epoch(page) == "epoch 0")
    page.get_by_role("switch").check()
    capture(recorder, 2)
    serving(tmp_path, port=int(server.url.rstrip("/").rpartition(":")[2]))
    until(lambda: epoch(page) == "epoch 2")
    wait(page, ".tv-status", "Recording, 3 snapshots")


def test_the_token_is_taken_from_the_address(serving, open_page, tmp_path):
    record(tmp_path / "a.zarr").close()
    server = serving(tmp_path, "--host", "0.0.0.0")
    token = server.address.partition("#")[2]
    url = f"http://127.0.0.1:{server.url.rstrip('/').rpartition(':')[2]}/"
    page = open_page(f"{url}#{token}")
    page.wait_for_selector("[data-ready]")
    assert "token" not in page.url
    page.reload()
    page.wait_for_selector("[data-ready]")
    stranger = open_page(url)
    wait(stranger, "#trainviz", "open the address that the server printed, token and all")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_can_be_used_by_everybody(serving, open_page, tmp_path, width, scheme):
    record(tmp_path / "a.zarr", class_names=["yes", "no"])
    record(tmp_path / (NAME.replace("/", "\u2215") + ".zarr")).close()
    page = open_page(
        serving(tmp_path).address, width=width, height=844, color_scheme=scheme,
        reduced_motion="reduce",
    )  # fmt: skip
    page.wait_for_selector(".tv-run")
    until(lambda: page.locator(".tv-thumbnail:visible").count() == 2)
    assert serious(page) == []
    assert page.locator("img:not(.tv-thumbnail)").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for name in ("a.zarr", "onerror"):
        page.get_by_role("link", name=name).click()
        page.wait_for_selector("[data-ready]")
        assert serious(page) == []
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name="All runs").click()
        page.wait_for_selector(".tv-run")


def serious(page):
    """Return what axe-core finds that keeps people from using the page."""
    found = Axe().run(page).response["violations"]
    return [
        json.dumps([rule["id"], [node["html"][:200] for node in rule["nodes"]]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("output", ["values", "multilabel"])
def test_other_outputs_are_shown_as_they_grow(serving, open_page, tmp_path, output):
    domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=12)
    recorder = tv.Recorder(domain, output=output, path=tmp_path / "a.zarr")

    def take(number):
        def predict(X):
            return X[:, 0] * number if output == "values" else (X > 0.1) * 1.0

        recorder.capture(predict, epoch=number)

    take(1)
    page = open_page(serving(tmp_path).address)
    page.wait_for_selector("[data-ready]")
    take(2)
    until(lambda: painted(page) == 2)
    if output == "values":
        until(lambda: "\u22122" in says(page, ".tv-scale"))
