"""Pictures of many kinds look as they did when somebody last judged them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

HERE = Path(__file__).parent
_SCRIPT = HERE.parents[1] / "docs" / "make_contact_sheet.py"
_SPEC = importlib.util.spec_from_file_location("make_contact_sheet", _SCRIPT)
sheet = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sheet)

SCENES = list(sheet.scenes())
BLOCK = 4  # Pixels: what is off by less is no difference to the eye.


@pytest.fixture(scope="module")
def reference():
    with Image.open(HERE / "contact_sheet.png") as image:
        return np.asarray(image.convert("RGB"))


def seen(tile):
    return np.asarray(Image.fromarray(tile).reduce(BLOCK), dtype=np.int16)


def difference(first, second):
    return np.abs(seen(first) - seen(second)).mean()


@pytest.mark.slow_after(8)
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("number", "scene"), list(enumerate(SCENES)), ids=[sheet.name_of(*scene) for scene in SCENES]
)
def test_a_picture_looks_as_it_did(reference, number, scene):
    row, column = divmod(number, sheet.COLUMNS)
    width, height = sheet.TILE
    known = reference[row * height :, column * width :][:height, :width]
    assert difference(sheet.draw(*scene[1:]), known) < 2.5, (
        f"look at it: python {_SCRIPT} sheet.png; if it is better, commit that as {HERE.name}/"
        "contact_sheet.png"
    )


def test_pictures_of_other_scenes_differ_by_more_than_the_tolerance(reference):
    width, height = sheet.TILE
    tiles = [
        np.ascontiguousarray(reference[y : y + height, x : x + width])
        for y in range(0, reference.shape[0], height) for x in range(0, reference.shape[1], width)
    ]  # fmt: skip
    assert len(tiles) == len(SCENES) == 40
    apart = [difference(a, b) for n, a in enumerate(tiles) for b in tiles[:n]]
    # Only the frames of paper and minimal films are alike.
    assert np.mean(np.array(apart) > 2.5) > 0.99
