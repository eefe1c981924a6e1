"""Write modules of JavaScript, facts and maps into one HTML document that works offline."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

__all__ = [
    "MODULES",
    "as_base64",
    "as_json",
    "bundle",
    "deflated",
    "document",
    "module_text",
    "static_text",
    "worker_text",
]

MODULES = (
    "bytes.js", "lattice.js", "decode.js", "paint.js", "interpolate.js", "clock.js", "contours.js",
    "hash.js", "measure.js", "dom.js", "axes.js", "tasks.js", "store.js", "view.js", "charts.js",
    "source.js", "lesson.js", "player.js",
)  # fmt: skip
"""In an order in which each imports only from those before it."""

_WORKER = ("bytes.js", "lattice.js", "decode.js", "paint.js", "tasks.js")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div id="trainviz"><p class="tv-wait">Loading the recording &#8230;</p>
<noscript><p class="tv-wait">This page needs JavaScript, which is switched off here.</p>
</noscript></div>
{data}
<script type="text/plain" id="trainviz-worker">{worker}</script>
<script>{script}</script>
{maps}
</body>
</html>
"""


def document(
    modules: Sequence[str],
    start: str,
    *,
    title: str,
    styles: Sequence[str] = ("style.css",),
    data: str = "",
    maps: Sequence[str] = (),
    sources: str = "",
    compact: bool = False,
) -> tuple[str, str]:
    """Return an HTML page with a player, and the policy that lets it do what it needs.

    Parameters
    ----------
    modules : sequence of str
        As for :func:`bundle`.
    start : str
        The JavaScript that starts it.
    title : str
    styles : sequence of str
        File names of stylesheets.
    data : str
        HTML that stands before the script, and ``maps`` what stands behind it.
    sources : str
        Further directives of the policy.
    compact : bool
        Compress the scripts, which the browser then unpacks into a blob.

    Returns
    -------
    page, policy : str

    Examples
    --------
    >>> page, policy = document(["bytes.js"], "canInflate();", title="<a>")
    >>> "<title>&lt;a&gt;</title>" in page, policy.split(";")[0] in page
    (True, True)
    """
    # Not a module, which would wait until the browser has read all maps.
    script = f'"use strict";\n(() => {{\n{bundle(modules)}\n{start}\n}})();\n'
    style = "".join(map(static_text, ("page.css", *styles)))
    worker = worker_text()
    if compact:
        script, worker = _UNPACKED_PAGE % (_UNPACK, deflated(worker), deflated(script)), ""
    blobs = " blob:" if compact else ""
    policy = (
        f"default-src 'none'; script-src 'sha256-{_digest(script)}'{blobs}; "
        f"style-src 'sha256-{_digest(style)}'; img-src data: blob:; worker-src blob:; "
        f"base-uri 'none'; form-action 'none'{sources}"
    )
    page = _PAGE.format(
        policy=policy, title=html.escape(title), style=style, data=data, worker=worker,
        script=script, maps="\n".join(maps),
    )  # fmt: skip
    return page, policy


def as_json(facts: dict[str, Any]) -> str:
    """Return JSON that can stand within a script element."""
    text = json.dumps(facts, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    # Half a surrogate pair cannot be written as UTF-8.
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def as_base64(raw: bytes) -> str:
    """Return bytes as text."""
    return base64.b64encode(raw).decode("ascii")


def worker_text() -> str:
    """Return the script of a worker that unpacks maps."""
    return bundle(_WORKER) + "\nlisten(self);\n"


def deflated(text: str) -> str:
    """Return a text as base64 of a raw deflate stream."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return as_base64(packer.compress(text.encode()) + packer.flush())


def module_text(modules: Sequence[str], name: str) -> str:
    """Return a module that unpacks others and exports one of their names as its default."""
    return _UNPACKED_MODULE % (_UNPACK, deflated(bundle(modules) + f"\nexport default {name};\n"))


_TOO_OLD = (
    "This browser is too old to unpack the recording (it lacks DecompressionStream): please use a "
    "current Firefox, Chrome, Edge or Safari."
)

_UNPACK = f"""
const unpacked = async (coded) => {{
  if (typeof DecompressionStream === "undefined") throw new Error("{_TOO_OLD}");
  const bytes = Uint8Array.from(atob(coded), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const text = await new Response(stream).text();
  return [text, URL.createObjectURL(new Blob([text], {{ type: "text/javascript" }}))];
}};
"""

_UNPACKED_PAGE = """(async () => {%s
const [worker] = await unpacked("%s");
document.getElementById("trainviz-worker").textContent = worker;
const script = document.createElement("script");
[, script.src] = await unpacked("%s");
document.body.append(script);
})().catch((error) => { document.querySelector(".tv-wait").textContent = error.message; });
"""

_UNPACKED_MODULE = """%s
let made;
try {
  const [, url] = await unpacked("%s");
  made = (await import(url)).default;
} catch (error) {
  made = { render: ({ el }) => { el.textContent = error.message; } };
}
export default made;
"""


def _digest(text: str) -> str:
    return as_base64(hashlib.sha256(text.encode()).digest())


def static_text(name: str) -> str:
    """Return the text of a file of the player."""
    return resources.files("trainviz.player").joinpath("static", name).read_text(encoding="utf-8")


def bundle(modules: Sequence[str]) -> str:
    """Return modules as one, without their imports, exports and comments.

    Parameters
    ----------
    modules : sequence of str
        File names, each after those that it imports from.

    Returns
    -------
    str

    Examples
    --------
    >>> "export" in bundle(["bytes.js"]), "import" in bundle(["bytes.js", "lattice.js"])
    (False, False)
    """
    return "".join(_parts(modules))


def _parts(modules: Sequence[str]) -> Iterator[str]:
    for name in modules:
        text = re.sub(r"^import [^;]*;\n", "", static_text(name), flags=re.MULTILINE)
        # Types, comments and indentation are a third of all, and no string looks like them.
        text = re.sub(r"/\*\*((?!\*/).)*\*/ ?|^ *//[^\n]*\n", "", text, flags=re.M | re.S)
        text = re.sub(r"\n\s+", "\n", text)
        yield re.sub(r"^export ", "", text, flags=re.MULTILINE)
