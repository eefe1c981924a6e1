"""Make the films of the front page: python docs/make_front_page.py; each build makes its player."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits, make_moons
from sklearn.ensemble import GradientBoostingClassifier
from torch import nn

import trainviz as tv
from trainviz.demo import record_demo

OUT = Path(__file__).parent / "_static" / "front"
SCENE: dict[str, Any] = {
    "figsize": (4.2, 4.5), "dpi": 110, "metrics": False, "legend": False, "axes": False,
    "aspect": "auto", "hold": 2,
}  # fmt: skip


def digits() -> tv.Recording:
    """Record a small CNN on the plane through three images."""
    torch.manual_seed(0)
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(data.target)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    domain = tv.Domain.through(*(images[labels == digit][0] for digit in (0, 3, 8)), resolution=250)
    names = [str(digit) for digit in range(10)]
    with tv.TorchRecorder(model, domain, class_names=names, evaluation="adaptive") as rec:
        for epoch in range(12):
            for batch in torch.randperm(len(images)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
                optimizer.step()
            rec.epoch_end(epoch)
    return rec.recording


def boosting() -> tv.Recording:
    """Record the trees of a boosted model."""
    X, y = make_moons(200, noise=0.25, random_state=0)
    model = GradientBoostingClassifier(n_estimators=80, learning_rate=0.15, random_state=0)
    return tv.record_stages(
        model.fit(X, y), tv.Domain.around(X, resolution=250), every=2, data=(X, y),
        class_names=["left", "right"],
    )  # fmt: skip


def clusters() -> tv.Recording:
    """Record the demo."""
    return record_demo(epochs=300)


def make_player() -> Path:
    """Write the player, in 6 seconds; it is not committed, so that it is never an old one."""
    return clusters().save_page(
        OUT / "player.html", title="Seven clusters", limit=40, interpolation="smooth", seconds=12
    )


def main() -> None:
    """Write each film for a light and for a dark page."""
    OUT.mkdir(parents=True, exist_ok=True)
    films: dict[str, tuple[tv.Recording, dict[str, Any]]] = {
        "clusters": (
            clusters()[::2],
            {"interpolate": 4, "interpolation": "smooth", "pace": "by change",
             "title": "A network, seven classes"},
        ),
        "digits": (
            digits(),
            {"interpolate": 14, "interpolation": "smooth",
             "title": "A CNN between three images"},
        ),
        "boosting": (
            boosting(),
            {"interpolate": 4, "counter": "tree {epoch}",
             "title": "Boosting, tree by tree"},
        ),
    }  # fmt: skip
    for name, (recording, options) in films.items():
        for dark in (False, True):
            film = tv.animate(recording, dark=dark, **SCENE, **options)
            print(film.save(OUT / f"{name}{'-dark' if dark else ''}.mp4"))


if __name__ == "__main__":
    main()
