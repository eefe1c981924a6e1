"""The documents for contributors name what exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/glossary.md"])
def test_every_path_in_a_document_exists(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    named = re.findall(r"`([\w./-]+(?:\.py|\.md|\.cfg|/))`", text)
    missing = [
        path
        for path in named
        if not any((root / path).exists() for root in (ROOT, ROOT / "trainviz"))
    ]
    assert not missing


def test_the_architecture_names_every_room():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in (ROOT / "trainviz").glob("*/__init__.py")]
    assert [room for room in rooms if f"`{room}/`" not in text] == []
