"""One name stands for one thing."""

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "trainviz"


def test_no_two_modules_define_public_classes_of_the_same_name():
    homes = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(str(path.relative_to(PACKAGE)))
    assert "Recorder" in homes
    shared = {name: where for name, where in homes.items() if len(where) > 1}
    assert not shared
