"""Make the animated picture of the README: python docs/make_readme_picture.py."""

from __future__ import annotations

from pathlib import Path

from trainviz import animate
from trainviz.demo import record_demo

film = animate(
    record_demo(epochs=300)[::2],
    mode="region",
    interpolate=3,
    interpolation="smooth",
    fps=20,
    hold=2,
    title="A network learns seven clusters",
    figsize=(6.8, 5.6),
    dpi=90,
)
print(film.save(Path(__file__).with_name("seven-clusters.gif")))
