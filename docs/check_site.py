"""Check a built site: links lead somewhere, and nothing is loaded from a network."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING = {"script", "link", "img", "iframe", "video", "audio", "source", "embed", "object"}
"""Tags whose ``src`` or ``href`` a browser asks for by itself."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.ids.add(value)
            if name in ("href", "src", "data", "poster") and value:
                self.links.append((tag, value))


@cache
def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _pages(root: Path) -> Iterator[Path]:
    # What lies in _static are players and the theme's own files; players state their policy.
    return (path for path in sorted(root.rglob("*.html")) if "_static" not in path.parts)


def broken_links(root: Path) -> list[str]:
    """Return a sentence for each link within the site that leads nowhere."""
    _read.cache_clear()
    found = []
    for path in _pages(root):
        for _, link in _read(path).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                found.append(f"{path.relative_to(root)}: {link} does not exist")
                continue
            is_page = target.suffix == ".html" and "_static" not in target.parts
            if is_page and parts.fragment and unquote(parts.fragment) not in _read(target).ids:
                found.append(f"{path.relative_to(root)}: {link} has no such place")
    return found


def foreign_files(root: Path) -> list[str]:
    """Return a sentence for each file that a page would ask of another host."""
    _read.cache_clear()
    return [
        f"{path.relative_to(root)}: <{tag}> loads {link}"
        for path in _pages(root)
        for tag, link in _read(path).links
        if tag in LOADING and urlsplit(link).netloc
    ]
