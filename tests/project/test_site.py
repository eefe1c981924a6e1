"""The code of the site's pages runs, and what it makes is what the pages show."""

import re
from pathlib import Path

import check_site
import pages
import pytest

import trainviz as tv

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


def test_each_public_name_is_in_the_reference():
    listed = []
    for path in sorted((ROOT / "docs" / "reference").glob("*.md")):
        module = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            module = line.split()[-1] if line.startswith(".. currentmodule::") else module
            if name := re.fullmatch(r"   (\w+)", line):
                listed.append(f"{module}.{name[1]}")
    public = [f"trainviz.{name}" for name in tv.__all__ if name not in ("__version__", "modes")]
    public += [
        f"trainviz.modes.{name}"
        for name in tv.modes.__all__
        if name != "MODES" and not hasattr(tv, name)
    ]
    assert sorted(set(public) - set(listed)) == [], "belongs on a page of docs/reference/"
    assert sorted(listed) == sorted(public)


def test_a_link_that_leads_nowhere_and_a_file_of_another_host_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="#top">up</a><a href="b.html#here">b</a>'
        '<a href="https://example.org">elsewhere</a><a href="c.html">c</a><a href="b.html#no">d</a>'
    )
    (tmp_path / "b.html").write_text('<p id="here"><script src="//cdn.example.org/x.js"></script>')
    assert check_site.broken_links(tmp_path) == [
        "a.html: c.html does not exist",
        "a.html: b.html#no has no such place",
    ]
    assert check_site.foreign_files(tmp_path) == ["b.html: <script> loads //cdn.example.org/x.js"]


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_front_page_has_its_films_and_its_player():
    named = re.findall(r'src="([^"#]+)', (ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    *films, player = [ROOT / "docs" / name for name in named]
    assert [path.suffix for path in films] == 6 * [".mp4"]
    assert sum(path.stat().st_size for path in films) < 2_000_000
    # The build of the site makes it, and tells if it does not.
    assert player == ROOT / "docs" / "_static" / "front" / "player.html"
