"""How large an interactive page is, how soon it shows a picture, and how fast it is scrubbed."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Row, Times, case, interleave
from benchmarks.scale import Scale
from benchmarks.workloads import record, seven_classes, spread
from trainviz import Recording, animate
from trainviz.recordings.time_axis import Moment

__all__: list[str] = []

_STEPS = 40

_OURS = """async (steps) => {
    const player = trainvizPlayer;
    const started = performance.now();
    for (const step of steps) {
        player.seek(step);
        do await new Promise(requestAnimationFrame);
        while (player.dirty || !player.complete);
    }
    return (performance.now() - started) / 1000 / steps.length;
}"""
_THEIRS = """async (steps) => {
    const plot = document.querySelector(".js-plotly-plot");
    const now = {mode: "immediate", transition: {duration: 0}, frame: {duration: 0, redraw: true}};
    const started = performance.now();
    for (const step of steps) {
        await Plotly.animate(plot, [String(step)], now);
        await new Promise(requestAnimationFrame);
    }
    return (performance.now() - started) / 1000 / steps.length;
}"""


@case("page-plotly")
def page_plotly(scale: Scale) -> list[Row]:
    """Compare a page with one of plotly that shows the same maps, painted, frame by frame."""
    trained = seven_classes(scale.epochs)
    recording = record(trained, spread(scale.epochs, scale.page))
    with tempfile.TemporaryDirectory() as folder:
        paths = {"trainviz": Path(folder) / "ours.html", "plotly": Path(folder) / "theirs.html"}
        recording.save_page(paths["trainviz"])
        _plotly_page(recording, paths["plotly"])
        sizes = {name: path.stat().st_size for name, path in paths.items()}
        first, steps, jumps = _browse(paths, len(recording), scale.repeats)
    what = f"page of {len(recording)} snapshots"
    told = ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes.items())
    ratio = sizes["trainviz"] / sizes["plotly"]
    return [
        Row("page-plotly/size", f"{what}, size", "plotly, painted maps only", [ratio], note=told),
        _timed("page-plotly/first-picture", f"{what}, first picture", first),
        _timed("page-plotly/step", f"{what}, one step of the slider", steps),
        _timed("page-plotly/jump", f"{what}, a jump to anywhere", jumps),
    ]


def _timed(name: str, what: str, times: Times) -> Row:
    note = f"{times.typical('trainviz')}, {times.typical('plotly')}"
    ratio = times.ratio("trainviz", "plotly")
    return Row(name, what, "plotly, painted maps only", ratio, note=note, times=times)


def _plotly_page(recording: Recording, path: Path) -> None:
    """Write plotly's page in its smallest form: frames are PNG files, not numbers."""
    import plotly.express as px

    paint = animate(recording, points=False).painter(recording.domain.shape)
    painted = np.stack([paint(Moment(index, 0.0)) for index in range(len(recording))])
    figure = px.imshow(painted, animation_frame=0, binary_string=True)
    figure.write_html(path, include_plotlyjs=True)


def _browse(paths: dict[str, Path], snapshots: int, repeats: int) -> tuple[Times, Times, Times]:
    """Open both pages in turn, and step through them."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise RuntimeError(f"no browser: install one of {', '.join(names)}")
    drawn = {"trainviz": "[data-ready]", "plotly": ".js-plotly-plot .imagelayer image"}
    scripts = {"trainviz": _OURS, "plotly": _THEIRS}
    onward = [index % snapshots for index in range(_STEPS)]
    anywhere = np.random.default_rng(0).integers(0, snapshots, _STEPS).tolist()
    steps, jumps = (Times({name: [] for name in paths}) for _ in range(2))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )

        def opened(name: str) -> Any:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(paths[name].as_uri(), wait_until="commit")
            page.wait_for_selector(drawn[name])
            return page

        first = interleave(
            {name: lambda _, name=name: opened(name).close() for name in paths}, repeats
        )
        for _ in range(repeats):
            for name in paths:
                page = opened(name)
                # What is measured is scrubbing, not the end of loading.
                page.wait_for_load_state()
                time.sleep(1)
                steps[name].append(_step(page, scripts[name], onward))
                jumps[name].append(_step(page, scripts[name], anywhere))
                page.close()
        browser.close()
    return first, steps, jumps


def _step(page: Any, script: str, order: Sequence[int]) -> float:
    seconds: float = page.evaluate(script, order)
    return seconds
