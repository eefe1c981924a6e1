"""The documents for contributors name what exists."""

import builtins
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "how-to").glob("*.md"))
DOCUMENTS = ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/glossary.md", *PAGES]
FILES = (".py", ".md", ".cfg", ".toml", ".txt", "/")


def prose(document):
    """Return a document without its blocks of code."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def quoted(text):
    """Return what stands in backticks."""
    return re.findall(r"`([^`\n]+)`", text)


@pytest.fixture(scope="module")
def is_defined():
    """Tell whether a name, or each part of one with a dot, is defined somewhere in the package."""
    package = "\n".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "trainviz").rglob("*.py"))
    )

    def is_defined(name):
        return all(
            re.search(rf"^ *(?:(?:class|def) {part}\b|(?:self\.)?{part} ?[:=])", package, re.M)
            for part in name.split(".")
        )

    return is_defined


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_in_a_document_exists(document):
    named = [name for name in quoted(prose(document)) if re.fullmatch(r"[\w./-]+", name)]
    paths = [name for name in named if name.endswith(FILES)]
    places = (ROOT, ROOT / "trainviz")
    missing = [path for path in paths if not any((place / path).exists() for place in places)]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_test_in_a_document_exists(document):
    named = re.findall(r"`(?:(tests/[\w/]+\.py)::)?(test_\w+)`", prose(document))
    missing = []
    for path, name in named:
        files = [ROOT / path] if path else (ROOT / "tests").rglob("test_*.py")
        if not any(f"def {name}(" in file.read_text(encoding="utf-8") for file in files):
            missing.append(name)
    assert missing == []


def test_each_invariant_of_the_architecture_names_its_tests():
    _, _, after = prose("ARCHITECTURE.md").partition("## Three invariants")
    invariants = re.split(r"^\d\. ", after.partition("\n## ")[0], flags=re.MULTILINE)[1:]
    assert len(invariants) == 3
    for invariant in invariants:
        assert len(re.findall(r"^   - `tests/\S+::test_\w+`$", invariant, re.MULTILINE)) >= 5


@pytest.mark.parametrize("document", ["docs/glossary.md", *PAGES])
def test_every_class_in_a_document_is_defined(document, is_defined):
    named = [name.removeprefix("trainviz.") for name in quoted(prose(document))]
    classes = [name for name in named if re.fullmatch(r"[A-Z]\w+(\.\w+)?", name)]
    ours = [name for name in classes if not name.endswith(FILES) and not hasattr(builtins, name)]
    assert [name for name in ours if not is_defined(name)] == []


def test_every_entry_of_the_glossary_says_what_it_is_in_the_code(is_defined):
    entries = [part for part in prose("docs/glossary.md").split("\n\n") if part.startswith("**")]
    words = [re.findall(r"\*\*(.+?)\*\*", entry)[0] for entry in entries]
    assert len(words) > 50
    assert words == sorted(words, key=str.lower)
    for entry in entries:
        names = [name for name in quoted(entry) if re.fullmatch(r"[\w.]+", name)]
        arguments = [name for name in quoted(entry) if re.match(r"\w+=", name)]
        assert arguments or any(map(is_defined, names)), entry


def test_the_architecture_names_every_room():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in (ROOT / "trainviz").glob("*/__init__.py")]
    assert [room for room in rooms if f"`{room}/`" not in text] == []
