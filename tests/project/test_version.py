"""What states the version states the same one; of the built package, ``.ci/package`` tells."""

import re
from pathlib import Path

import pytest

import trainviz

ROOT = Path(__file__).parents[2]
RELEASE = trainviz.__version__.partition(".dev")[0]


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", text, flags=re.MULTILINE) == [RELEASE]


@pytest.mark.skipif(".dev" in trainviz.__version__, reason="not released")
def test_the_changelog_has_a_section_of_the_citations_date():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    (date,) = re.findall(r"^date-released: (.*)$", text, flags=re.MULTILINE)
    sections = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert sections[:2] == ["Unreleased", f"{RELEASE} ({date})"]
