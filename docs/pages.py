"""Run the code of a page, so that the pictures in it are those that its code makes.

All Python blocks of a page run in one namespace, in order, in an empty folder. A page shows what
they write there as ``../_static/made/NAME/FILE``, where NAME is the page's. A block that begins
with the comment ``# path/to/file.py`` is a file of the reader's own, and is not run here.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
MADE = DOCS / "_static" / "made"
FOLDERS = ("tutorials", "how-to", "explanation")

_BLOCK = re.compile(r"^```(python|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Return the pages that may have code."""
    found = (path for folder in FOLDERS for path in sorted((DOCS / folder).glob("*.md")))
    return [path for path in found if path.name != "index.md"]


def blocks(page: Path) -> list[tuple[str, str | None, str]]:
    """Return the code of a page: language, path of the file or None, text."""
    found = []
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        language, code = block.groups()
        named = re.match(r"# (\S+\.py)\n", code)
        found.append((language, named and named[1], code[named.end() :] if named else code))
    return found


def script(page: Path) -> str:
    """Return what a reader of the page types."""
    return "\n".join(code for language, path, code in blocks(page) if path is None)


def shown(page: Path) -> list[str]:
    """Return the names of the files that the page shows and its code makes."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"\.\./_static/made/{page.stem}/([\w.-]+)", text)


def make(page: Path) -> None:
    """Run the code of a page that shows something, unless it is the code that was run last."""
    if not shown(page):
        return
    folder, code = MADE / page.stem, script(page)
    stamp, digest = folder / "made.md5", hashlib.md5(code.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"the code of {page} failed:\n{done.stderr}")
        for name in shown(page):
            shutil.copy(Path(place, name), folder)
    stamp.write_text(digest)
