"""The tree of the package says what lies where."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "trainviz"
PACKAGES = sorted(path.parent for path in PACKAGE.glob("*/**/__init__.py"))
PUBLIC = {"adapters", "modes"}


def test_the_top_level_holds_rooms_and_a_few_modules():
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert modules == {"__init__", "__main__", "demo", "errors", "v1", "version"}
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize(
    "path", PACKAGES, ids=[str(path.relative_to(PACKAGE)) for path in PACKAGES]
)
def test_a_package_says_what_it_is_for_and_whether_it_is_public(path):
    text = ast.get_docstring(ast.parse((path / "__init__.py").read_text(encoding="utf-8")))
    assert text
    first = " ".join(text.partition("\n\n")[0].split())
    public = str(path.relative_to(PACKAGE)) in PUBLIC
    assert first.endswith(" Public." if public else " Internal."), first
    assert len(first.split()) >= 4


def test_every_room_has_its_tests():
    rooms = {path.name for path in PACKAGES if path.parent == PACKAGE}
    tested = {path.name for path in (ROOT / "tests").iterdir() if list(path.rglob("test_*.py"))}
    assert {room.lstrip("_") for room in rooms} <= tested


def test_what_runs_before_a_change_lands_finds_its_command_in_the_readme():
    marker = "<!-- the test command -->"
    assert marker in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    _, _, after = (ROOT / "README.md").read_text(encoding="utf-8").partition(marker)
    command = re.search(r"^python3 .*$", after, flags=re.MULTILINE)
    assert command
    assert ".[test]" in command[0]
    assert " -m pytest" in command[0]
