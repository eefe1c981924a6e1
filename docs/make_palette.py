"""Search for the default colours of classes, and measure how well they can be told apart.

    python docs/make_palette.py            # the table of docs/how-to/colour-blind-safety.md
    python docs/make_palette.py --search   # a minute or two: the colours of classes 25 to 256

The search is greedy: each colour is the one farthest from all before it, to the eye and, with a
larger weight, to people with deuteranopia and protanopia.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np
from coloraide import Color

from trainviz.modes.palettes import MAX_CLASSES, class_colors

LIGHTNESS, CHROMA, WEIGHT = (27, 89), (10, 64), 1.4
VISIONS = ("", "deutan", "protan")


def seen(colors: Iterable[Color], vision: str) -> list[Color]:
    """Return colours in CIELAB as they are seen; Machado et al. (2009)."""
    return [
        (color.clone().filter(vision, method="machado") if vision else color).convert("lab-d65")
        for color in colors
    ]


def colors_of(n_classes: int) -> list[Color]:
    """Return the default colours."""
    return [Color("srgb", list(color / 255)) for color in class_colors(n_classes)]


def search(n_colors: int, known: Sequence[Color]) -> list[str]:
    """Return so many colours, the known ones first."""
    candidates = []
    for color in product(range(0, 256, 12), repeat=3):
        candidate = Color("srgb", [part / 255 for part in color])
        lightness, chroma, _ = candidate.convert("lch-d65").coords()
        if LIGHTNESS[0] <= lightness <= LIGHTNESS[1] and CHROMA[0] <= chroma <= CHROMA[1]:
            candidates.append(candidate)
    views = [seen(candidates, vision) for vision in VISIONS]
    apart = np.full(len(candidates), np.inf)
    found = list(known)
    for number in range(n_colors):
        if number >= len(found):
            found.append(candidates[int(apart.argmax())])
        for vision, view in zip(VISIONS, views, strict=True):
            (new,) = seen([found[number]], vision)
            weight = WEIGHT if vision else 1.0
            away = [weight * new.delta_e(color, method="2000") for color in view]
            apart = np.minimum(apart, away)
    return [color.convert("srgb").to_string(hex=True).upper() for color in found]


def smallest_difference(colors: Sequence[Color], vision: str = "") -> float:
    """Return the smallest CIEDE2000 difference of two colours."""
    view = seen(colors, vision)
    return min(
        first.delta_e(second, method="2000")
        for number, first in enumerate(view) for second in view[:number]
    )  # fmt: skip


def smallest_step(colors: Sequence[Color]) -> float:
    """Return the smallest difference of two colours in grey: of their lightness L*."""
    lightness = sorted(color["lightness"] for color in seen(colors, ""))
    return float(np.diff(lightness).min())


def main() -> None:
    """Print the colours or the table."""
    if "--search" in sys.argv:
        found = search(MAX_CLASSES, colors_of(24))[24:]
        for start in range(0, len(found), 8):
            print("   ", " ".join(f'"{color}",' for color in found[start : start + 8]))
        return
    print("| classes | normal | deuteranopia | protanopia | grey, L* |")
    print("|---|---|---|---|---|")
    for n_classes in (2, 3, 5, 8, 10, 16, 24, 30, 50, 100, 256):
        colors = colors_of(n_classes)
        figures = [smallest_difference(colors, vision) for vision in VISIONS]
        row = [n_classes, *(f"{figure:.1f}" for figure in (*figures, smallest_step(colors)))]
        print("|", " | ".join(map(str, row)), "|")


if __name__ == "__main__":
    main()
