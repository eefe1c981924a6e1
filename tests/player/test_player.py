"""The player in a real browser, offline."""

import base64
import io
import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import trainviz as tv
from trainviz.player.maps import packed_map
from trainviz.recordings.packed import unpack
from trainviz.recordings.time_axis import Moment
from trainviz.rendering.shared_timeline import SharedTimeline, clock_positions

pytestmark = [pytest.mark.slow, pytest.mark.browser]

COUNTER = "document.querySelector('.tv-counter').textContent === "
EVIL = "</script><img src=x onerror=alert(1)> $\\alpha$ \u202eabc " + "x" * 200


@pytest.fixture
def open_page(browser, tmp_path):
    """Return a function that saves and opens a page, and fails where the page complains."""
    complaints, opened = [], []

    def show(recording, *, fragment="", width=1280, height=800, **options):
        path = tmp_path / "page.html"
        if isinstance(recording, tv.Recording):
            recording.save_page(path, **options)
        else:
            recording.save(path, **options)
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True)
        page = context.new_page()
        opened.append(context)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else 0)
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector("[data-ready]")
        return page

    yield show
    for context in opened:
        context.close()
    assert complaints == []


def wait(page, condition):
    """Wait until an expression is true; the page's policy allows no function from a string."""
    for _ in range(300):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never came true: {condition}")


def epoch(page):
    return page.locator(".tv-counter").inner_text()


def record(predict, epochs=range(6), **options):
    data = options.pop("data", None)
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=30), data=data, **options)
    for number in epochs:
        model = partial(predict, number=number)
        recorder.capture(model, epoch=number, metrics={"loss": 1 / (number + 1)})
    return recorder.recording


def moving(X, number):
    return X[:, 0] > 0.3 - number / 10


@pytest.fixture
def run():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (40, 2))
    return record(moving, data=(X, (X[:, 0] > 0).astype(int)), class_names=["left", "right"])


def click_map(page, x, y):
    box = page.locator(".tv-overlay").first.bounding_box()
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])


def test_it_plays_steps_and_goes_to_an_epoch(open_page, run):
    page = open_page(run, seconds=1.0)
    assert epoch(page) == "epoch 0"
    page.keyboard.press(".")
    page.keyboard.press(".")
    wait(page, COUNTER + "'epoch 2'")
    page.get_by_label("Go to epoch").fill("4")
    page.keyboard.press("Enter")
    wait(page, COUNTER + "'epoch 4'")
    page.get_by_label("Go to epoch").blur()
    page.get_by_role("button", name="Play").click()
    wait(page, COUNTER + "'epoch 1'")
    page.get_by_role("button", name="Pause").click()


def test_the_address_brings_back_what_was_shown(open_page, run):
    page = open_page(run, fragment="#time=3&mode=entropy&pins=0.2,0.1&range=1,4")
    assert epoch(page) == "epoch 3"
    assert page.get_by_label("Show", exact=True).input_value() == "entropy"
    page.wait_for_selector(".tv-pin svg")
    page.keyboard.press("m")
    wait(page, "location.hash.includes('mode=margin')")
    assert "range=1,4" in page.evaluate("location.hash")
    page.get_by_label("Speed").select_option("0.25")
    page.get_by_role("button", name="Theme").click()
    wait(page, "location.hash.includes('speed=0.25') && location.hash.includes('theme=light')")
    page.reload()
    page.wait_for_selector("[data-ready]")
    assert page.get_by_label("Speed").input_value() == "0.25"
    assert page.locator(".tv").get_attribute("data-theme") == "light"


def test_a_pin_shows_the_probabilities_of_every_epoch(open_page, run):
    page = open_page(run)
    click_map(page, 0.62, 0.5)
    wait(page, "trainvizPlayer.samples[0].pins[0]?.every((v) => !Number.isNaN(v))")
    samples = np.array(page.evaluate("[...trainvizPlayer.samples[0].pins[0]]")).reshape(6, 2)
    x, y = page.evaluate("trainvizPlayer.state.pins[0]")
    expected = tv.kymograph(run, (x, y), (x, min(1, y + 1e-3)), n_points=2).probabilities[:, 0]
    np.testing.assert_allclose(samples, expected, atol=0.01)
    assert (np.diff(samples.argmax(axis=1)) != 0).sum() == 1
    # The chart is drawn a moment after the last sample has come.
    wait(page, "document.querySelectorAll('.tv-pin .tv-change').length === 1")


def test_a_pin_says_what_the_map_shows_after_a_jump(open_page, run):
    page = open_page(run)
    click_map(page, 0.62, 0.5)
    wait(page, "document.querySelector('.tv-pinname')?.textContent.startsWith('left')")
    wait(page, "trainvizPlayer.samples[0].pins[0]?.every((v) => !Number.isNaN(v))")
    # The map comes long after everything else has settled.
    page.evaluate("""() => {
        const {store, source} = trainvizPlayer;
        store.forget(0, 1);
        store.recordings[0].bytes = async (index) => {
            await new Promise((done) => setTimeout(done, 1500));
            return source.bytes(0, index);
        };
    }""")
    page.keyboard.press("End")
    wait(page, COUNTER + "'epoch 5'")
    assert page.locator(".tv-pinname").inner_text().startswith("left")
    wait(page, "document.querySelector('.tv-pinname')?.textContent.startsWith('right')")


def changed_area(run):
    """What the page says of the area that changed class in the whole recording."""
    share = np.mean([(s.probabilities.argmax(0) != run[0].probabilities.argmax(0)) for s in run], 0)
    return f"{100 * (share > 0).mean():.1f}\u00a0%"


def compute(page):
    page.get_by_role("tab", name="Range").click()
    page.get_by_role("button", name="Compute").click()


# Each map comes so late that a range is computed while the page does something else.
SLOW_MAPS = """() => {
    const {store, source} = trainvizPlayer;
    store.recordings[0].bytes = async (index) => {
        await new Promise((done) => setTimeout(done, 200));
        return source.bytes(0, index);
    };
}"""


def test_a_range_has_its_averaged_prediction(open_page, run):
    page = open_page(run, fragment="#range=0,5")
    compute(page)
    page.wait_for_selector(".tv-minimaps canvas")
    assert page.locator(".tv-minimaps canvas").count() == 5
    assert changed_area(run) in page.locator(".tv-facts").inner_text()


def test_a_range_is_computed_while_the_page_is_used(open_page, run):
    page = open_page(run, fragment="#range=0,5")
    page.evaluate(SLOW_MAPS)
    compute(page)
    page.keyboard.press(".")
    wait(page, "trainvizPlayer.sharp")
    page.evaluate("trainvizPlayer.addPin([0.2, 0.1])")
    page.get_by_role("tab", name="Range").click()
    page.wait_for_selector(".tv-minimaps canvas")
    assert changed_area(run) in page.locator(".tv-facts").inner_text()
    wait(page, "trainvizPlayer.samples[0].pins[0]?.every((v) => !Number.isNaN(v))")


def test_a_range_that_is_asked_for_twice_is_counted_once(open_page, run):
    page = open_page(run, fragment="#range=0,5")
    page.evaluate(SLOW_MAPS)
    compute(page)
    page.wait_for_timeout(500)
    compute(page)
    page.wait_for_selector(".tv-minimaps canvas")
    page.wait_for_timeout(1500)
    facts = page.locator(".tv-facts").inner_text()
    alone = open_page(run, fragment="#range=0,5")
    compute(alone)
    alone.wait_for_selector(".tv-minimaps canvas")
    assert alone.locator(".tv-facts").inner_text() == facts


def test_a_range_says_which_map_is_damaged(open_page, run):
    page = open_page(run, fragment="#range=0,5")
    page.evaluate("""() => {
        const {store, source} = trainvizPlayer;
        store.recordings[0].bytes = async (index) =>
            index === 3 ? new Uint8Array(5) : source.bytes(0, index);
    }""")
    compute(page)
    page.get_by_text("A map cannot be shown").wait_for()
    wait(page, "!document.querySelector('.tv-facts').textContent.includes('Computing')")
    page.evaluate("""() => {
        const {store, source} = trainvizPlayer;
        store.recordings[0].bytes = (index) => source.bytes(0, index);
    }""")
    compute(page)
    page.wait_for_selector(".tv-minimaps canvas")


def test_what_was_computed_of_maps_that_were_replaced_is_forgotten(open_page, run):
    page = open_page(run, fragment="#range=0,5")
    compute(page)
    page.wait_for_selector(".tv-minimaps canvas")
    page.evaluate("trainvizPlayer.grown([0, 2])")
    wait(page, "!document.querySelector('.tv-minimaps canvas')")
    compute(page)
    page.wait_for_selector(".tv-minimaps canvas")


@pytest.mark.parametrize("is_shown", [True, False])
def test_maps_of_a_range_are_not_shown_for_another_from_the_address(open_page, run, is_shown):
    page = open_page(run, fragment="#range=0,5")
    page.evaluate(SLOW_MAPS)
    compute(page)
    if is_shown:
        page.wait_for_selector(".tv-minimaps canvas")
    page.evaluate("location.hash = 'range=1,4'")
    wait(page, "document.body.textContent.includes('From epoch 1 to epoch 4')")
    page.wait_for_timeout(2000)
    assert page.locator(".tv-minimaps canvas").count() == 0
    assert page.locator(".tv-facts").inner_text() == ""
    compute(page)
    page.wait_for_selector(".tv-minimaps canvas")
    assert changed_area(run[1:5]) in page.locator(".tv-facts").inner_text()


@pytest.mark.parametrize("after", [0, 300, 700])
def test_pins_and_a_range_survive_a_worker_that_stops(open_page, run, after):
    page = open_page(run, fragment="#range=0,5&pins=0.2,0.1")
    page.evaluate(SLOW_MAPS)
    compute(page)
    page.wait_for_timeout(after)
    page.evaluate("trainvizPlayer.store.fallBack()")
    page.wait_for_selector(".tv-minimaps canvas")
    assert changed_area(run) in page.locator(".tv-facts").inner_text()
    wait(page, "trainvizPlayer.samples[0].pins[0]?.every((v) => !Number.isNaN(v))")


def test_the_kymograph_is_that_of_python(open_page, run):
    page = open_page(run, fragment="#line=-1,0,1,0")
    wait(
        page,
        "trainvizPlayer.samples[0].line?.every((v) => !Number.isNaN(v)) ?? false",
    )
    samples = np.array(page.evaluate("[...trainvizPlayer.samples[0].line]"))
    expected = tv.kymograph(run, (-1, 0), (1, 0)).probabilities
    np.testing.assert_allclose(samples.reshape(expected.shape), expected, atol=0.01)


@pytest.fixture
def groups():
    X = np.random.default_rng(0).uniform(-0.9, 0.9, (30, 2))
    y = (X[:, 0] > 0.1).astype(int)
    return record(moving, data={"train": (X[:20], y[:20]), "test": (X[20:], y[20:])})


def test_groups_are_listed_with_their_markers_and_accuracies(open_page, groups):
    page = open_page(groups, fragment="#at=0")
    rows = page.locator(".tv-groups li")
    for index in (0, len(groups) - 1):
        page.evaluate(f"trainvizPlayer.seek({index})")
        shares = [groups.metrics[f"{name} accuracy"][index] for name in ("train", "test")]
        expected = [f"{100 * share:.1f}\xa0%" for share in shares]
        wait(page, f"document.querySelector('.tv-groups li').textContent.includes('{expected[0]}')")
        for row, name, share in zip(range(2), ("train", "test"), expected, strict=True):
            assert name in rows.nth(row).inner_text()
            assert share in rows.nth(row).inner_text()
    pixels = "[...document.querySelectorAll('.tv-marker')].map((c) => c.toDataURL())"
    assert len(set(page.evaluate(pixels))) == 2


def test_a_group_can_be_hidden_and_comes_back(open_page, groups):
    page = open_page(groups)
    look = "document.querySelector('.tv-overlay').toDataURL()"
    before = page.evaluate(look)
    box = page.locator(".tv-groups input").nth(1)
    box.uncheck()
    wait(page, f"{look} !== {before!r}")
    box.check()
    wait(page, f"{look} === {before!r}")


def test_the_point_under_the_cursor_and_the_list_tell_the_group(open_page, groups):
    page = open_page(groups)
    x, y = groups.data.points[25]
    px, py = page.evaluate(f"trainvizPlayer.views[0].toScreen({x}, {y})")
    box = page.locator(".tv-overlay").bounding_box()
    page.mouse.move(box["x"] + px, box["y"] + py)
    label = groups.data_labels[25]
    wait(page, "document.querySelector('.tv-where').textContent.includes('point')")
    assert page.locator(".tv-where").inner_text() == f"test point 25, label {label}"
    page.get_by_role("tab", name="Points").click()
    for name in ("train", "test"):
        page.locator("th button", has_text="Group").click()
        cell = "document.querySelector('.tv-scroll tbody tr')?.children[1].textContent"
        wait(page, f"{cell} === '{name}'")


def test_of_many_points_a_sample_is_shown_with_the_accuracy_of_all(open_page):
    X = np.random.default_rng(0).uniform(-0.9, 0.9, (300, 2))
    y = (X[:, 0] > 0.1).astype(int)
    recording = record(moving, data={"train": (X, y), "test": (X[:50], y[:50])})
    page = open_page(recording, max_points=60)
    page.get_by_role("tab", name="Points").click()
    wait(page, "document.querySelector('.tv-tabs').textContent.includes('60 of 350 points')")
    page.evaluate(f"trainvizPlayer.seek({len(recording) - 1})")
    share = f"{100 * recording.metrics['train accuracy'][-1]:.1f}"
    wait(page, f"document.querySelector('.tv-groups li').textContent.includes('{share}')")


def test_highlights_and_the_marks_of_errors_are_drawn(open_page, groups):
    look = "document.querySelector('.tv-overlay').toDataURL()"
    options = [{}, {"errors": None}, {"errors": "cross"}, {"errors": "fade"},
               {"highlight": {"test": {3: "an outlier"}}}]  # fmt: skip
    looks = [open_page(groups, **option).evaluate(look) for option in options]
    assert len(set(looks)) == len(options)


def test_points_are_listed_with_when_they_were_learnt(open_page, run):
    page = open_page(run)
    page.get_by_role("tab", name="Points").click()
    rows = page.locator(".tv-scroll tbody tr")
    wait(page, "document.querySelectorAll('.tv-scroll tbody tr').length === 40")
    found = tv.dynamics(run)
    for i in (0, 7):
        cells = next(row for row in rows.all_inner_texts() if row.split()[0] == str(i)).split()
        first = found.first_learnt[i]
        assert cells[-2:] == [
            "never" if np.isnan(first) else f"{first:g}",
            f"{found.forgetting[i]}\N{MULTIPLICATION SIGN}",
        ]
    rows.nth(3).click()
    assert page.evaluate("trainvizPlayer.state.chosen.size") == 1


def test_a_lesson_stops_asks_and_scores(open_page, run):
    page = open_page(tv.animate(run), ask=[2])
    page.evaluate("trainvizPlayer.facts.seconds = 1")
    page.get_by_role("button", name="Play").click()
    page.wait_for_selector(".tv-lesson h2")
    assert epoch(page) == "epoch 2"
    page.keyboard.press("End")
    assert epoch(page) == "epoch 2"
    x = page.evaluate(
        "trainvizPlayer.views[0].toScreen(-0.2, 0)[0] / trainvizPlayer.views[0].size.width"
    )
    box = page.locator(".tv-overlay").bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + 14)
    page.mouse.down()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + box["height"] - 34, steps=8)
    page.mouse.up()
    page.get_by_role("button", name="See what came").click()
    wait(page, "document.querySelector('.tv-lesson h2').textContent.includes('points')")
    assert int(page.locator(".tv-lesson h2").inner_text().split()[0]) > 90
    page.get_by_role("button", name="Play on").click()
    assert page.locator(".tv-lesson").is_hidden()


def test_a_lesson_asks_which_points_will_be_wrong(open_page, run):
    page = open_page(tv.animate(run), ask=[2])
    page.evaluate("trainvizPlayer.facts.seconds = 1")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Tick the points that will be wrong").click()
    wrong = np.flatnonzero(run.data_predictions(5) != run.data_labels)
    assert 2 < len(wrong) < 39
    right = next(i for i in range(40) if i not in wrong)
    box = page.locator(".tv-overlay").bounding_box()
    for point in [*wrong[:-1], right]:
        x, y = page.evaluate(
            f"trainvizPlayer.views[0].toScreen(...{run.data.points[point].tolist()})"
        )
        page.mouse.click(box["x"] + x, box["y"] + y)
    assert f"{len(wrong)} points ticked" in page.locator(".tv-lesson").inner_text()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="See what came").click()
    wait(page, "document.querySelector('.tv-lesson h2').textContent.includes('points')")
    precision, recall = 1, (len(wrong) - 1) / len(wrong)
    score = round(100 * 2 * precision * recall / (precision + recall))
    assert page.locator(".tv-lesson h2").inner_text() == f"{score} of 100 points"
    # Class by class: how many of the wrong ones were ticked.
    rows = page.locator(".tv-lesson tbody tr").all_inner_texts()
    for name, row in enumerate(rows):
        of_class = run.data_labels[wrong] == name
        ticked = run.data_labels[wrong[:-1]] == name
        assert row.split()[-3:] == [str(ticked.sum()), "of", str(of_class.sum())]


def test_the_picture_is_saved_as_it_is_shown(open_page, run, tmp_path):
    page = open_page(run, title="A run", fragment="#time=3&pins=0.2,0.1&theme=light")
    wait(page, "trainvizPlayer.sharp")
    with page.expect_download() as found:
        page.get_by_role("button", name="Save picture").click()
    assert found.value.suggested_filename == "A-run-epoch-3.png"
    found.value.save_as(tmp_path / "saved.png")
    saved = np.asarray(Image.open(tmp_path / "saved.png").convert("RGB"))
    size = page.evaluate("trainvizPlayer.views[0].size")
    assert saved.shape == (size["height"] + 30, size["width"], 3)
    # On the left of the map is the paler blue of the first class, on the right that of the second.
    expected = tv.animate(run, mode="region", points=False).painter((8, 8))(Moment(3, 0.0))
    left, top = page.evaluate("trainvizPlayer.views[0].box.left"), 30 + 14
    np.testing.assert_allclose(saved[top, left + 3].astype(int), expected[0, 0], atol=2)
    assert (saved[:30] < 100).any()  # the title


@pytest.mark.parametrize("by", ["epoch", "step", "progress"])
def test_several_recordings_are_brought_together_as_in_a_comparison(open_page, by):
    runs = []
    for epochs, batches in ((range(6), 10), (range(0, 13, 4), 3)):
        recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=12))
        for epoch in epochs:
            recorder.capture(
                partial(waves(3, 0.0), number=epoch), epoch=epoch, step=batches * epoch
            )
        runs.append(recorder.recording)
    page = open_page(tv.compare(runs, labels=["one", "other"], by=by))
    clock = SharedTimeline([clock_positions(run, by, "run") for run in runs])
    assert page.evaluate("trainvizPlayer.times") == pytest.approx(clock.ticks.tolist())
    for tick in range(len(clock.ticks)):
        page.evaluate(f"trainvizPlayer.seek({tick})")
        found = page.evaluate("trainvizPlayer.recordings.map((r) => trainvizPlayer.positionIn(r))")
        assert found == pytest.approx([moment.position for moment in clock.moments_at(tick)])
    page.evaluate("trainvizPlayer.seek(2)")
    wait(page, COUNTER + repr({"epoch": "epoch 2", "step": "step 12"}.get(by, "33\u00a0%")))
    # Another clock keeps what the first recording shows, and the address brings it back.
    place = page.evaluate("trainvizPlayer.positionIn(trainvizPlayer.main)")
    page.get_by_label("Clock").select_option("progress" if by == "step" else "step")
    moved = page.evaluate("trainvizPlayer.positionIn(trainvizPlayer.main)")
    assert moved == pytest.approx(place, abs=1e-6)
    wait(page, "location.hash.includes('clock=')")
    page.reload()
    page.wait_for_selector("[data-ready]")
    moved = page.evaluate("trainvizPlayer.positionIn(trainvizPlayer.main)")
    assert moved == pytest.approx(place, abs=1e-4)


def test_several_recordings_have_their_pins_and_lines_each(open_page, run):
    other = record(lambda X, number: X[:, 1] > 0.5 - number / 9, range(0, 9, 2),
                   class_names=["left", "right"])  # fmt: skip
    page = open_page(
        tv.compare([run, other], labels=["one", "other"]), fragment="#pins=0.2,0.1&line=-1,0,1,0.2"
    )
    page.get_by_role("tab", name="Pins").click()
    known = "[...one.pins, one.line].every((part) => part?.every((v) => !Number.isNaN(v)))"
    wait(page, f"trainvizPlayer.samples.every((one) => {known})")
    for r, recording in enumerate([run, other]):
        samples = page.evaluate(f"[...trainvizPlayer.samples[{r}].pins[0]]")
        expected = tv.kymograph(recording, (0.2, 0.1), (0.2, 0.2), n_points=2).probabilities[:, 0]
        np.testing.assert_allclose(np.reshape(samples, expected.shape), expected, atol=0.01)
        line = page.evaluate(f"[...trainvizPlayer.samples[{r}].line]")
        expected = tv.kymograph(recording, (-1, 0), (1, 0.2)).probabilities
        np.testing.assert_allclose(np.reshape(line, expected.shape), expected, atol=0.01)
    assert page.locator(".tv-pin figure svg").count() == 2
    page.get_by_role("tab", name="Line").click()
    page.wait_for_selector("canvas[aria-label='Kymograph other']")
    assert page.locator(".tv-kymograph").count() == 2


def test_without_a_mouse(open_page, run):
    page = open_page(run)
    page.locator(".tv-overlay").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector(".tv-pin")
    assert page.evaluate("trainvizPlayer.state.pins[0][0]") == pytest.approx(0.2)
    page.keyboard.press("a")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("b")
    page.wait_for_selector(".tv-kymograph")
    wait(page, "document.querySelector('.tv-live').textContent.includes('under the cursor')")


def test_several_recordings_share_a_clock(open_page, run):
    other = record(lambda X, number: X[:, 1] > 0, range(0, 9, 2), class_names=["left", "right"])
    page = open_page(tv.compare([run, other], labels=["one", "other"], points=False))
    assert page.locator(".tv-view").count() == 3
    assert "Disagreement: " in page.locator("figcaption", has_text="Disagreement").inner_text()
    page.keyboard.press("End")
    wait(page, COUNTER + "'epoch 8'")


def test_every_mode_is_painted_as_in_python_at_once(open_page):
    one, other = (record(waves(5, shift), range(3)) for shift in (0.0, 0.6))
    page = open_page(tv.compare([one, other], labels=["one", "other"]), fragment="#time=1")
    cases = [
        (tv.modes.Region(), {}), (tv.modes.Region(top_k=3), {"top": 3}),
        (tv.modes.Region(outline=True), {"outline": True}), (tv.modes.Boundary(), {}),
        (tv.modes.Entropy(), {}), (tv.modes.Margin(), {}), (tv.modes.Probability(2), {"of": 2}),
        (tv.modes.Change(), {}), (tv.modes.Difference(other), {}),
        (tv.modes.Difference(other, of=4), {"part": 4}),
    ]  # fmt: skip
    offered = page.locator("select").first.locator("option")
    assert {option.get_attribute("value") for option in offered.all()} == {m.name for m, _ in cases}
    painted = """() => {
        const {data, width, height} = trainvizPlayer.views[0].gridImage;
        return {pixels: [...data], shape: [height, width, 4]};
    }"""
    for mode, state in cases:
        page.get_by_label("Show", exact=True).select_option(mode.name)
        chosen = {"top": 0, "outline": False, "of": 1, "part": -1, **state}
        page.evaluate(f"Object.assign(trainvizPlayer.state, {json.dumps(chosen)})")
        page.evaluate("trainvizPlayer.changed()")
        wait(page, "trainvizPlayer.sharp && trainvizPlayer.complete")
        found = page.evaluate(painted)
        ours = np.reshape(found["pixels"], found["shape"])[..., :3]
        maps = [unpack(packed_map(run, 1)).dense()[:, ::-1] for run in (one, other)]
        before = unpack(packed_map(one, 0)).dense()[:, ::-1]
        palette = tv.Palette.of(5, cmap=mode.colormap(one))
        bound = mode.bound(5, palette, recording=one)
        beside = {"change": [before], "difference": [maps[1]]}.get(mode.name, [])
        theirs = bound.paint(np.ascontiguousarray(maps[0]), *beside)
        off = np.abs(ours - theirs.astype(int)).max(axis=2)
        assert (off > 1).mean() < 0.002, mode.name


def test_where_the_map_is_a_guess_it_is_hatched(open_page):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    domain = tv.Domain.from_embedding(X, X[:, :2], resolution=40)
    recorder = tv.Recorder(domain)
    recorder.capture(lambda X: np.stack([X[:, 0] > 0, X[:, 0] <= 0], 1) * 1.0, epoch=0)
    page = open_page(recorder.recording)
    assert domain.doubt.max() >= 1
    assert "a guess" in page.locator(".tv-look").inner_text()
    hatched = page.evaluate("""() => {
        const {hatch, toScreen} = trainvizPlayer.views[0];
        const {width, height} = hatch;
        const {data} = hatch.getContext("2d").getImageData(0, 0, width, height);
        return {alpha: [...data].filter((_, i) => i % 4 === 3), shape: [height, width]};
    }""")
    alpha = np.reshape(hatched["alpha"], hatched["shape"]) > 0
    height, width = alpha.shape
    rows = (np.arange(height) * domain.doubt.shape[0] // height)[::-1]
    columns = np.arange(width) * domain.doubt.shape[1] // width
    poor = domain.doubt[np.ix_(rows, columns)] >= 1
    # Lines cover about a third of what is poor, and little beyond its edge.
    assert 0.15 < alpha[poor].mean() < 0.6
    assert alpha[~poor].sum() < 0.2 * alpha.sum()


def test_categories_are_named_and_not_mixed(open_page):
    frame = pd.DataFrame({
        "city": ["Lyon", "Paris", "Rome"] * 4, "age": np.arange(12.0), "paid": [True, False] * 6,
    })  # fmt: skip
    domain = tv.Domain.slice(frame, ("city", "paid"), resolution=6)
    recorder = tv.Recorder(domain, data=(frame[1:2], [1]))
    recorder.capture(lambda X: (X["city"] == "Paris") != X["paid"], epoch=0)
    page = open_page(recorder.recording)
    wait(page, "trainvizPlayer.sharp && trainvizPlayer.complete")
    box = page.locator(".tv-overlay").first.bounding_box()
    # Close to the edge of the band, where the grid would be half way to the next.
    x, y = page.evaluate("trainvizPlayer.views[0].toScreen(1.48, 0.48)")
    page.mouse.move(box["x"] + x, box["y"] + y)
    wait(page, "document.querySelector('.tv-where').textContent === 'at Paris, False'")
    values = [text.inner_text() for text in page.locator(".tv-number").all()]
    assert values[1] == "100\u00a0%"
    # As a file: a list of a million numbers takes seconds on its way here.
    found = page.evaluate("""() => {
        const view = trainvizPlayer.views[0];
        const [left, top] = view.toScreen(-0.5, 1.5), [right, bottom] = view.toScreen(2.5, -0.5);
        const [wide, tall] = [right - left, bottom - top].map(Math.trunc);
        const part = view.picture.getContext("2d").getImageData(left, top, wide, tall);
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [wide, tall];
        canvas.getContext("2d").putImageData(part, 0, 0);
        return canvas.toDataURL().split(",")[1];
    }""")
    with Image.open(io.BytesIO(base64.b64decode(found))) as image:
        picture = np.asarray(image.convert("RGB"))
    point = page.evaluate(
        f"trainvizPlayer.views[0].toScreen(...{recorder.recording.data.points[0].tolist()})"
    )
    page.mouse.move(box["x"] + point[0], box["y"] + point[1])
    text = "'point 0, label 1, Paris, False'"
    wait(page, f"document.querySelector('.tv-where').textContent === {text}")
    height, width, _ = picture.shape
    # Two pixels at each edge of a band lie under the line between cells.
    inside = np.ones((height, width), bool)
    for share in (1 / 3, 2 / 3):
        inside[:, round(share * width) - 2 : round(share * width) + 2] = False
    inside[height // 2 - 2 : height // 2 + 2] = False
    assert len(np.unique(picture[inside], axis=0)) == 2


@pytest.mark.parametrize("width", [390, 1280])
def test_strange_names_stay_text_and_nothing_is_wider_than_the_screen(open_page, width):
    names = [EVIL, "\u0634\u0628\u0643\u0629", "a" * 200]
    run = record(lambda X, number: np.eye(3)[(X[:, 0] > 0).astype(int) + (X[:, 1] > number / 9)],
                 class_names=names)  # fmt: skip
    page = open_page(run, title=EVIL, subtitle=EVIL, width=width, height=844)
    assert page.locator("h1").inner_text() == EVIL
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def soft(n_classes):
    def predict(X, number):
        odds = np.exp(3 * np.sin(X @ np.arange(2 * n_classes).reshape(2, -1) / 9 + number))
        return odds / odds.sum(axis=1, keepdims=True)

    return predict


def waves(n_classes, shift):
    def predict(X, number):
        odds = np.exp(
            np.stack(
                [3 * np.sin(X @ [k + 1, 2 - k] + shift + number / 3 + k) for k in range(n_classes)],
                axis=1,
            )
        )
        return odds / odds.sum(axis=1, keepdims=True)

    return predict


def several_labels(X, number):
    return (X[:, [0, 1, 0]] > [0, 0, number]) * 1.0


@pytest.mark.parametrize(
    ("predict", "epochs", "options"),
    [
        (soft(100), range(3), {}),
        (soft(3), [7], {}),
        (soft(1), range(3), {}),
        (lambda X, number: X[:, 0] * number, range(3), {"output": "values"}),
        (several_labels, range(3), {"output": "multilabel"}),
    ],
    ids=["100 classes", "one snapshot", "one class", "values", "labels"],
)  # fmt: skip
def test_every_kind_of_recording_is_shown(open_page, predict, epochs, options):
    page = open_page(record(predict, epochs, **options))
    colors = page.evaluate("""() => {
        const canvas = document.querySelector(".tv-picture");
        const {left, top, width, height} = trainvizPlayer.views[0].box;
        const data = canvas.getContext("2d").getImageData(left, top, width, height).data;
        return new Set(new Uint32Array(data.buffer)).size;
    }""")
    assert colors >= 1
    page.keyboard.press(".")
    page.keyboard.press("m")
    page.wait_for_timeout(300)


def test_an_old_browser_is_told_in_words(browser, run, tmp_path):
    page = browser.new_page()
    page.add_init_script("delete globalThis.DecompressionStream")
    page.goto(run.save_page(tmp_path / "page.html").as_uri())
    assert "DecompressionStream" in page.locator(".tv-wait").inner_text()
    page.close()


def test_a_page_without_a_snapshot_says_so(browser, tmp_path):
    page = browser.new_page()
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=5))
    page.goto(recorder.recording.save_page(tmp_path / "page.html").as_uri())
    assert "No snapshot of this recording" in page.locator(".tv-wait").inner_text()
    page.close()


def test_it_needs_no_worker(browser, run, tmp_path):
    page = browser.new_page()
    page.add_init_script("globalThis.Worker = class { constructor() { throw new Error('no'); } }")
    page.goto(run.save_page(tmp_path / "page.html").as_uri())
    page.wait_for_selector("[data-ready]")
    page.close()


def test_reduced_motion_shows_one_snapshot_after_another(browser, run, tmp_path):
    page = browser.new_page(reduced_motion="reduce")
    page.goto(run.save_page(tmp_path / "page.html", seconds=3).as_uri())
    page.wait_for_selector("[data-ready]")
    page.keyboard.press("Space")
    shown = []
    for _ in range(8):
        page.wait_for_timeout(60)
        shown += [
            page.evaluate(
                "((p) => p.shown[0] === p.store.get(0, p.state.position | 0))(trainvizPlayer)"
            )
        ]
    assert sum(shown) >= 6
    page.close()


def test_a_fitted_model_has_a_page_without_epochs(open_page):
    fitted = tv.record(partial(moving, number=0), tv.Domain((-1, 1), (-1, 1), points_per_axis=30))
    page = open_page(fitted)
    assert "epoch" not in page.inner_text(".tv-main")
    assert not page.locator(".tv-time").is_visible()
    assert "epoch" not in page.locator(".tv-live").inner_text().lower()


def test_a_page_has_the_films_counter(open_page, run):
    page = open_page(tv.animate(run, counter="tree {epoch:03d} of 5"), fragment="#e=3")
    assert epoch(page).startswith("tree ")
    assert epoch(page).endswith(" of 5")


def test_one_class_has_its_own_colour_on_a_page_too(open_page, run):
    page = open_page(tv.animate(run, mode=tv.modes.Probability(1), points=False))
    film = tv.animate(run, mode=tv.modes.Probability(1))
    wanted = film.mode.palette.sequential[[0, 255]].tolist()
    found = page.evaluate(
        "(() => { const c = document.querySelector('.tv-map canvas');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "const at = (x) => { const i = 4 * (Math.floor(c.height / 2) * c.width + x);"
        "return [d[i], d[i + 1], d[i + 2]]; };"
        "return [0.2, 0.9].map((x) => at(Math.floor(x * c.width))); })()"
    )
    assert found == wanted


def test_curves_show_what_was_logged_at_epochs_that_were_not_captured(open_page):
    recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=10))
    for number in range(9):
        if number % 4:
            recorder.log(epoch=number, metrics={"lr": number / 10})
        else:
            recorder.capture(partial(moving, number=number), epoch=number)
    page = open_page(recorder.recording)
    assert page.locator(".tv-curves").inner_text().split() == ["lr", "0.1"]
    page.keyboard.press(".")
    wait(page, COUNTER + "'epoch 4'")
    # Between 0.3 at epoch 3 and 0.5 at epoch 5; no snapshot has a value.
    wait(page, "document.querySelector('.tv-curves').innerText.endsWith('0.4')")
