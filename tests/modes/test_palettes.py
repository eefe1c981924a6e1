import re
from itertools import combinations
from pathlib import Path

import colorcet
import matplotlib
import numpy as np
import pytest
from coloraide import Color as ColorAide
from matplotlib.colors import ListedColormap, to_rgb

from trainviz import Palette
from trainviz.modes.palettes import class_colors, sequential_table

OKABE_ITO = {"#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"}


def rgb(*colors):
    return [tuple(round(255 * part) for part in to_rgb(color)) for color in colors]


def rows(table):
    return [tuple(row) for row in table.tolist()]


def test_up_to_eight_classes_have_the_colours_of_okabe_and_ito():
    eight = rows(class_colors(8))
    assert set(rgb(*OKABE_ITO)) < set(eight)
    assert len(set(eight)) == 8


@pytest.mark.parametrize(
    ("n_classes", "normal", "colour_blind"),
    [(2, 55, 55), (3, 38, 19), (5, 22, 12), (8, 21, 11), (10, 20, 11), (16, 16, 8), (24, 14, 7),
     (50, 7.9, 5.4), pytest.param(100, 5.3, 3.7, marks=pytest.mark.slow)],
)  # fmt: skip
def test_classes_can_be_told_apart_also_by_the_colour_blind(n_classes, normal, colour_blind):
    colors = class_colors(n_classes)
    assert smallest_difference(colors) > normal
    assert smallest_difference(colors, "deutan") > colour_blind
    assert smallest_difference(colors, "protan") > colour_blind


@pytest.mark.parametrize("ground", [(255, 255, 255), (16, 18, 22)], ids=["light", "dark"])
def test_where_the_model_is_unsure_classes_can_be_told_apart_as_well(ground):
    paler = 0.6 * class_colors(24) + 0.4 * np.array(ground)
    assert smallest_difference(paler) > 8


@pytest.mark.parametrize(("n_classes", "darker"), [(24, 1), (256, 6)])
def test_more_than_eight_classes_are_as_calm_and_as_light_as_eight(n_classes, darker):
    lightness, chroma, _ = np.transpose([
        ColorAide("srgb", color / 255).convert("lch").coords() for color in class_colors(n_classes)
    ])  # fmt: skip
    assert lightness[:8].min() - darker < lightness[8:].min()
    assert lightness[8:].max() < lightness[:8].max()
    assert chroma[8:].max() < chroma[:8].max()


def test_a_class_that_is_added_changes_the_colour_of_no_other():
    for n_classes in (*range(1, 30), 100, 255):
        assert rows(class_colors(n_classes)) == rows(class_colors(256))[:n_classes]


def test_the_documentation_states_the_differences_that_are_measured():
    page = Path(__file__).parents[2] / "docs" / "how-to" / "colour-blind-safety.md"
    number = r" ([\d.]+) \|"
    found = re.findall(r"^\|" + 5 * number + "$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == 11
    for count, *told in found:
        # Those of more classes take long, and hang on the same function.
        if int(count) > 24:
            continue
        colors = class_colors(int(count))
        figures = [smallest_difference(colors, vision) for vision in (None, "deutan", "protan")]
        measured = [*figures, smallest_step(colors)]
        assert measured == pytest.approx([float(part) for part in told], abs=0.051)


def test_colours_of_like_lightness_cannot_be_told_apart_in_grey():
    """What the documentation says of prints in grey: two or three classes at most."""
    assert [smallest_step(class_colors(n_classes)) for n_classes in (2, 3, 4, 8)] == [
        pytest.approx(step, abs=0.05) for step in (24.6, 11.8, 3.6, 0.8)
    ]


def smallest_difference(colors, filtered=None):
    """The smallest CIEDE2000 difference of two colours, to the eye or to the colour-blind."""
    seen = [ColorAide("srgb", color / 255) for color in colors]
    if filtered is not None:
        seen = [color.filter(filtered, method="machado") for color in seen]
    return min(first.delta_e(second, method="2000") for first, second in combinations(seen, 2))


def smallest_step(colors):
    """The smallest difference of two colours in grey: of their lightness L*."""
    seen = [ColorAide("srgb", color / 255).convert("lab-d65")["lightness"] for color in colors]
    return np.diff(sorted(seen)).min()


@pytest.mark.parametrize("n_classes", [2, 8, 9, 24, 25, 100, 256])
def test_every_class_has_a_colour_of_its_own(n_classes):
    colors = class_colors(n_classes)
    assert colors.shape == (n_classes, 3)
    assert colors.dtype == np.uint8
    assert len(np.unique(colors, axis=0)) == n_classes


def test_more_classes_than_colours_are_refused_with_a_way_out():
    with pytest.raises(ValueError, match=r"257 classes: at most 256.*mode='boundary'"):
        class_colors(257)


def test_more_classes_than_colours_share_some_where_the_map_does_not_show_them():
    palette = Palette.of(300, repeat=True)
    assert palette.classes.shape == (300, 3)
    assert rows(palette.classes[256:]) == rows(palette.classes[:44])


def test_a_qualitative_colormap_gives_its_first_colours():
    assert rows(class_colors(3, "tab10")) == rgb(*matplotlib.colormaps["tab10"].colors[:3])


@pytest.mark.parametrize("name", ["viridis", "turbo"])
def test_a_continuous_colormap_is_sampled_from_end_to_end(name):
    expected = rgb(*matplotlib.colormaps[name]([0.0, 0.25, 0.5, 0.75, 1.0])[:, :3])
    assert rows(class_colors(5, name)) == expected


def test_colormaps_of_colorcet_are_known():
    assert rows(sequential_table("bmy"))[-1] == rgb(colorcet.bmy[-1])[0]
    assert len(np.unique(class_colors(20, "glasbey_dark"), axis=0)) == 20


def test_colormap_objects_are_taken():
    two = ListedColormap(["red", "blue"])
    assert rows(class_colors(2, two)) == rgb("red", "blue")
    assert rows(sequential_table(two))[:1] == rgb("red")


@pytest.mark.parametrize(
    "colors",
    [
        ["red", "#00ff00", (0, 0, 1)],
        ("red", "lime", "blue", "black"),
        np.eye(3),
    ],
)
def test_colours_come_as_lists_tuples_or_arrays(colors):
    assert rows(class_colors(3, colors)) == rgb("red", "lime", "blue")


@pytest.mark.parametrize(
    ("colors", "message"),
    [
        (["red", "blue"], "2 colours for 3 classes"),
        (ListedColormap(["red", "blue"], name="pair"), "'pair' has 2 colours for 3 classes"),
        (["red", "blue", "no colour"], "no matplotlib colour.*no colour"),
        ([[0, 0, 255]] * 3, "no matplotlib colour"),
        (np.full((3, 3), 255), "no matplotlib colour"),
        (5, r"palette=.*5: expected the name of a colormap"),
    ],
)
def test_colours_that_cannot_be_used_are_told(colors, message):
    with pytest.raises(ValueError, match=message):
        class_colors(3, colors)


@pytest.mark.parametrize("choose", [lambda name: class_colors(3, name), sequential_table])
def test_an_unknown_colormap_is_told_by_name_with_similar_ones(choose):
    with pytest.raises(ValueError, match=r"'viridus'.*did you mean 'viridis'"):
        choose("viridus")
    with pytest.raises(ValueError, match=r"'12345'.*see matplotlib\.colormaps"):
        choose("12345")


def test_the_sequential_table_runs_from_end_to_end():
    table = sequential_table("viridis")
    assert table.shape == (256, 3)
    assert rows(table[[0, -1]]) == rgb(*matplotlib.colormaps["viridis"]([0.0, 1.0])[:, :3])


def test_a_sure_model_is_dark_and_an_unsure_one_bright_by_default():
    table = sequential_table()
    assert rows(table) == rows(sequential_table("plasma_r"))
    assert table[0].sum() > table[-1].sum()


def test_a_dark_palette_fades_to_a_dark_ground():
    assert Palette.of(2).background.min() == 255
    assert Palette.of(2, dark=True).background.max() < 40


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"n_classes": 0}, ValueError), ({"n_classes": 2.5}, TypeError),
        ({"n_classes": 3, "dark": "yes"}, TypeError), ({"n_classes": 3, "repeat": 1}, TypeError),
    ],
)  # fmt: skip
def test_a_palette_refuses_what_is_no_number_of_classes_or_no_switch(arguments, error):
    name, value = list(arguments.items())[-1]
    with pytest.raises(error, match=re.escape(f"{name}={value!r}: expected")):
        Palette.of(**arguments)
