"""The code of the site's pages runs, and what it makes is what the pages show."""

from pathlib import Path

import pages
import pytest

ROOT = Path(__file__).parents[2]
# Pages that extend the package are followed in test_how_to.py, with what they promise.
PAGES = [path for path in pages.pages() if not path.name.startswith("add-")]


@pytest.mark.usefixtures("clean_modes")
@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_code_of_a_page_runs_and_makes_what_the_page_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(pages.script(page), str(page), "exec"), {"__name__": "__main__"})
    missing = [name for name in pages.shown(page) if not (tmp_path / name).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_page_shows_only_what_its_own_code_makes(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("_static/made/") == len(pages.shown(page))
