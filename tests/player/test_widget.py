"""The widget: fed by a recorder, in a browser, in a kernel, and in what a notebook keeps."""

import base64
import json
import random
import re
import warnings
from functools import partial

import comm
import numpy as np
import pytest
from comm.base_comm import BaseComm

import trainviz as tv

pytest.importorskip("anywidget")

HOST = """async ([esm, css, state, name]) => {
    document.body.insertAdjacentHTML("beforeend", `<style>${css}</style><div id="${name}"></div>`);
    const url = URL.createObjectURL(new Blob([esm], {type: "text/javascript"}));
    const widget = (await import(url)).default;
    const listeners = [];
    const model = {
        get: (key) => state[key],
        on: (event, told) => listeners.push(told),
        send: (content) => sent.push(content),
    };
    globalThis.sent ??= [];
    globalThis.heard = (content, coded) => {
        const buffers = coded.map((text) =>
            new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer));
        for (const told of listeners) told(content, buffers);
    };
    widget.initialize({model});
    const views = globalThis.views ??= {};
    views[name] = widget.render({model, el: document.getElementById(name)});
    globalThis.another = (place) => widget.render({model, el: document.getElementById(place)});
}"""


class Wire(BaseComm):
    """What ipywidgets sends goes to a list, from which a test takes it to the page."""

    sent: list = []  # noqa: RUF012

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        data = data or {}
        if data.get("method") == "custom":
            coded = [base64.b64encode(bytes(one)).decode() for one in buffers or []]
            self.sent.append((data["content"], coded))


@pytest.fixture
def wire(monkeypatch):
    Wire.sent = []
    monkeypatch.setattr(comm, "create_comm", Wire)
    return Wire.sent


def settle(widget):
    """Wait until the widget's thread has done what it was asked to."""
    widget._thread.submit(lambda: None).result()


def deliver(page, widget, wire, *, answers=True):
    """Take messages both ways until there are none; a kernel that is busy reads nothing."""
    for _ in range(200):
        settle(widget)
        while wire:
            page.evaluate("([content, coded]) => heard(content, coded)", list(wire.pop(0)))
        asked = page.evaluate("sent.splice(0)") if answers else []
        for content in asked:
            data = {"method": "custom", "content": content}
            widget.comm.handle_msg({"content": {"data": data}, "buffers": []})
        settle(widget)
        if not asked and not wire:
            return
    pytest.fail("the two never come to an end")


def wait(page, condition):
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never came true: {condition}")


def moving(X, number):
    return 1 / (1 + np.exp(-9 * (X[:, 0] - 0.3 + number / 10)))


def make_recorder(**options):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (30, 2))
    options.setdefault("data", (X, (X[:, 0] > 0).astype(int)))
    return tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=25), **options)


def capture(recorder, *epochs):
    for epoch in epochs:
        metrics = {"loss": 1 / (epoch + 1)}
        recorder.capture(partial(moving, number=epoch), epoch=epoch, metrics=metrics)


PLAYER = "document.getElementById('one').trainvizPlayer"


@pytest.fixture
def open_widget(browser, wire):
    """Return a function that shows a widget in a page, and fails where the page complains."""
    complaints = []
    context = browser.new_context(viewport={"width": 1000, "height": 900}, offline=True)

    def show(widget):
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else 0)
        state = json.loads(json.dumps(widget.get_state()))
        page.evaluate(HOST, [widget._esm, widget._css, state, "one"])
        return page

    yield show
    context.close()
    assert complaints == []


@pytest.mark.slow
@pytest.mark.browser
class TestInABrowser:
    def test_it_grows_while_the_kernel_is_busy(self, open_widget, wire):
        recorder = make_recorder()
        widget = recorder.widget()
        page = open_widget(widget)
        assert "No snapshot" in page.locator(".tv-wait").inner_text()
        for epoch in range(4):
            capture(recorder, epoch)
            deliver(page, widget, wire, answers=False)
            page.wait_for_selector("[data-ready]")
            wait(page, f"document.querySelector('.tv-counter').textContent === 'epoch {epoch}'")
        # What is scrubbed to is there without the kernel.
        page.locator(".tv-overlay").focus()
        page.keyboard.press("Home")
        expected = recorder.recording[0].probabilities[0, 0]
        # The position is there before the picture of it.
        near = f"Math.abs({PLAYER}.shown[0].map[12] - {expected[12]}) < 0.005"
        wait(page, f"{PLAYER}.complete && {PLAYER}.state.position === 0 && {near}")
        shown = page.evaluate(f"[...{PLAYER}.shown[0].map.slice(0, 25)]")
        np.testing.assert_allclose(shown, expected, atol=1 / 255 + 1e-6)
        # Whoever looks back stays there when more comes.
        capture(recorder, 4)
        deliver(page, widget, wire, answers=False)
        wait(page, f"{PLAYER}.last === 4")
        assert page.evaluate(f"{PLAYER}.state.position") == 0

    def test_pins_points_and_curves_grow_too(self, open_widget, wire):
        recorder = make_recorder()
        capture(recorder, 0, 1)
        widget = recorder.widget()
        page = open_widget(widget)
        deliver(page, widget, wire)
        page.wait_for_selector("[data-ready]")
        page.evaluate(f"{PLAYER}.addPin([0.2, 0.1])")
        full = f"{PLAYER}.samples[0].pins[0]?.every((v) => !Number.isNaN(v))"
        wait(page, full)
        page.get_by_role("tab", name="Points").click()
        capture(recorder, 2, 3, 4, 5)
        recorder.amend({"late": 0.5})
        deliver(page, widget, wire)
        wait(page, f"{PLAYER}.last === 5")
        page.evaluate(f"{PLAYER}.seek(5)")
        found = tv.dynamics(recorder.recording)
        wait(page, "document.querySelectorAll('.tv-scroll tbody tr').length === 30")
        page.wait_for_timeout(400)
        for row in page.locator(".tv-scroll tbody tr").all_inner_texts():
            number, first = int(row.split()[0]), row.split()[-2]
            learnt = found.first_learnt[number]
            assert first == ("never" if np.isnan(learnt) else f"{learnt:g}")
        page.get_by_role("tab", name="Pins").click()
        wait(page, f"{full} && {PLAYER}.samples[0].pins[0].length === 12")
        samples = np.array(page.evaluate(f"[...{PLAYER}.samples[0].pins[0]]")).reshape(6, 2)
        line = tv.kymograph(recorder.recording, (0.2, 0.1), (0.2, 0.2), n_points=2)
        np.testing.assert_allclose(samples, line.probabilities[:, 0], atol=0.01)
        metrics = page.evaluate(f"{PLAYER}.main.metrics")
        assert metrics["late"] == [None] * 5 + [0.5]
        np.testing.assert_allclose(metrics["loss"], 1 / np.arange(1, 7), rtol=1e-5)

    def test_a_view_that_is_opened_later_gets_the_rest(self, open_widget, wire):
        recorder = make_recorder()
        widget = recorder.widget()
        capture(recorder, 0, 1, 2)
        settle(widget)
        wire.clear()
        page = open_widget(widget)
        capture(recorder, 3)
        settle(widget)
        wire.pop()  # The page was not there yet.
        capture(recorder, 4)
        deliver(page, widget, wire)
        page.wait_for_selector("[data-ready]")
        wait(page, f"{PLAYER}.last === 4")
        assert page.evaluate(f"{PLAYER}.source.packed[0].length") == 5
        assert page.evaluate(f"{PLAYER}.source.packed[0].every(Boolean)")

    def test_what_is_captured_again_is_replaced(self, open_widget, wire):
        recorder = make_recorder()
        capture(recorder, 0, 1, 2, 3)
        widget = recorder.widget()
        page = open_widget(widget)
        deliver(page, widget, wire)
        page.wait_for_selector("[data-ready]")
        page.keyboard.press("End")
        recorder.rewind(1)
        recorder.capture(partial(moving, number=-5), epoch=5)
        deliver(page, widget, wire)
        wait(page, f"{PLAYER}.last === 2 && {PLAYER}.complete")
        page.evaluate(f"{PLAYER}.seek(2)")
        wait(page, "document.querySelector('.tv-counter').textContent === 'epoch 5'")
        wait(page, f"{PLAYER}.complete")
        shown = page.evaluate(f"[...{PLAYER}.shown[0].map.slice(0, 25)]")
        expected = recorder.recording[2].probabilities[0, 0]
        np.testing.assert_allclose(shown, expected, atol=1 / 255 + 1e-6)

    def test_a_closed_view_leaves_nothing_and_the_page_around_is_left_alone(
        self, open_widget, wire
    ):
        recorder = make_recorder()
        capture(recorder, 0, 1)
        widget = recorder.widget()
        page = open_widget(widget)
        deliver(page, widget, wire)
        page.wait_for_selector("[data-ready]")
        page.keyboard.press("m")
        page.locator(".tv-overlay").focus()
        page.keyboard.press("m")
        wait(page, f"{PLAYER}.state.mode === 'boundary'")
        assert page.evaluate("location.hash") == ""
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div id=\"two\"></div>')")
        page.evaluate("() => { views.two = another('two'); }")
        wait(page, "document.querySelectorAll('[data-ready]').length === 2")
        ids = page.evaluate("[...document.querySelectorAll('#two [id]')].map((e) => e.id)")
        assert len(ids) == len(set(ids))
        page.evaluate("views.one()")
        capture(recorder, 2)
        deliver(page, widget, wire)
        wait(page, "document.getElementById('two').trainvizPlayer.last === 2")
        assert page.evaluate("document.getElementById('one').querySelector('canvas')") is None
        page.set_viewport_size({"width": 700, "height": 600})
        page.wait_for_timeout(100)


@pytest.mark.slow
def test_neither_weights_nor_random_streams_are_changed(wire):
    recorder = make_recorder()
    widget = recorder.widget()
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    capture(recorder, 0, 1)
    settle(widget)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
    assert [content["map"] for content, _ in wire if "map" in content] == [[0, 0], [0, 1]]


def test_a_widget_that_cannot_send_warns_once_and_training_goes_on(monkeypatch):
    class Cut(BaseComm):
        def publish_msg(self, msg_type, **keys):
            if msg_type == "comm_msg":
                raise OSError("no connection")

    monkeypatch.setattr(comm, "create_comm", Cut)
    recorder = make_recorder(on_error="raise")
    widget = recorder.widget()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        capture(recorder, 0, 1, 2)
        settle(widget)
    assert len(recorder.recording) == 3
    assert [str(one.message) for one in told if "no connection" in str(one.message)] != []
    assert len(told) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"saved": -1}, ValueError, "saved=-1"),
        ({"saved": "all"}, TypeError, "saved='all'"),
        ({"mode": "vague"}, ValueError, "mode='vague'"),
    ],
)
def test_bad_options_are_refused_at_once(recording, wire, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        recording.widget(**options)


def test_bad_options_are_refused_before_the_first_snapshot(wire):
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=5))
    with pytest.raises(TypeError, match="counter=3: expected"):
        recorder.recording.widget(counter=3)


def test_what_surrounds_the_map_is_an_option_as_of_a_page(recording, wire):
    told = recording.widget(xlabel="width", errors="cross").known()["recordings"][0]
    assert told["xlabel"] == "width"
    assert told["points"]["errors"] == "cross"


def test_every_recorder_has_one(wire):
    loop = tv.SklearnRecorder.__mro__[1]
    for recorder in (tv.TorchRecorder, tv.LightningRecorder, tv.KerasRecorder, loop):
        assert callable(recorder.widget)


def test_without_a_kernel_a_recording_is_a_table_and_a_film_a_video(recording):
    formatters = pytest.importorskip("IPython.core.formatters")
    shown, _ = formatters.DisplayFormatter().format(recording)
    assert shown["text/html"].startswith("<table>")
    assert tv.animate(recording)._repr_mimebundle_() is None


NOTEBOOK = """
import numpy as np, trainviz as tv
rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (200, 2))
recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=120), data=(X, X[:, 0] > 0))
def waves(X, t):
    odds = np.exp(3 * np.sin(X @ np.arange(10).reshape(2, 5) + t))
    return odds / odds.sum(axis=1, keepdims=True)
{training}
"""


@pytest.fixture(scope="module")
def executed():
    """Return a notebook that trained under a widget and shows a recording and a film."""
    nbformat = pytest.importorskip("nbformat")
    from nbclient import NotebookClient

    training = """
widget = recorder.widget()
display(widget)
for epoch in range(40):
    recorder.capture(lambda X: waves(X, epoch / 9), epoch=epoch, metrics={"loss": 1 / (epoch + 1)})
"""
    cells = [NOTEBOOK.format(training=training), "recorder.recording",
             "tv.animate(recorder.recording, mode='entropy', title='The film')"]  # fmt: skip
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    client = NotebookClient(book, timeout=300, kernel_name="python3", store_widget_state=False)
    client.execute()
    return book


@pytest.mark.slow
def test_a_notebook_shows_players_and_stays_small(executed):
    import nbformat

    for cell in executed.cells:
        (shown,) = [o for o in cell.outputs if o.output_type in ("display_data", "execute_result")]
        assert "application/vnd.jupyter.widget-view+json" in shown.data
        assert not [o for o in cell.outputs if o.output_type == "error"]
    assert "sandbox=" in executed.cells[1].outputs[0].data["text/html"]
    assert "<video" not in nbformat.writes(executed)
    assert len(nbformat.writes(executed)) < 1e6


@pytest.mark.slow
@pytest.mark.browser
def test_an_exported_notebook_plays_without_a_kernel(executed, browser, tmp_path):
    nbconvert = pytest.importorskip("nbconvert")
    text, _ = nbconvert.HTMLExporter().from_notebook_node(executed)
    path = tmp_path / "notebook.html"
    path.write_text(text, encoding="utf-8")
    page = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True).new_page()
    page.goto(path.as_uri())
    frames = page.locator("iframe[title=trainviz]")
    assert frames.count() == 2
    # A frame that is out of sight paints nothing.
    frames.nth(1).scroll_into_view_if_needed()
    frame = page.frame_locator("iframe[title=trainviz]").nth(1)
    frame.locator("[data-ready]").wait_for()
    assert frame.locator("h1").inner_text() == "The film"
    assert "of 40 snapshots" in frame.locator(".tv-foot").inner_text()
    frame.get_by_role("button", name="Play").click()
    frame.get_by_role("button", name="Pause").wait_for()
    page.context.close()
