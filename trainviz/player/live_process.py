"""The server of the live page in a process of its own, beside the one that trains."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import webbrowser
from html import escape

from trainviz._common.providers import install_hint

__all__ = ["LiveServer", "run_server", "start_server"]

_SECONDS = 5.0
"""How long a process that was told to end may take."""


class LiveServer:
    """A server of the live page; it ends with the process that has started it.

    Attributes
    ----------
    url : str
        The page's address.
    """

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url = url
        self._process = process
        self._pid = os.getpid()

    @property
    def is_running(self) -> bool:
        """Whether the server answers, as far as is known."""
        return self._process.poll() is None

    def open(self) -> bool:
        """Open the page in the browser; return whether there is one."""
        return webbrowser.open(self.url)

    def close(self) -> None:
        """End the server; pages that are open keep what they show, and say so."""
        if os.getpid() != self._pid or self._process.stdin is None:
            return  # A fork must not end the server of its parent.
        # The end of its input tells the server to stop.
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __repr__(self) -> str:
        return f"LiveServer({self.url!r}{'' if self.is_running else ', ended'})"

    def _repr_html_(self) -> str:
        url = escape(self.url, quote=True)
        return f'<a href="{url}" target="_blank" rel="noopener">{url}</a>'


_started: list[LiveServer] = []
"""Those of this process, so that one is not ended because nobody keeps the object."""


def start_server(path: str, *, port: int | None = None, open_browser: bool = False) -> LiveServer:
    """Start a server of the live page and wait until it listens.

    Parameters
    ----------
    path : str
        A recording, or a folder of some.
    port : int, optional
        Default: that of ``trainviz serve``; if it is in use, the next free one.
    open_browser : bool, default False

    Returns
    -------
    LiveServer

    Raises
    ------
    ImportError
        If Starlette or uvicorn is not installed.
    RuntimeError
        If the server does not start.
    """
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise ImportError(install_hint("Starlette", "the live page"))
    command = "from trainviz.player.live_process import run_server; run_server()"
    process = subprocess.Popen(
        [sys.executable, "-c", command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(each or os.getcwd() for each in sys.path)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        # ctrl-C is for the training; the server ends when that does.
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({"path": path, "port": port}) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline() or "{}")
    except (OSError, ValueError):
        answer = {}
    if "url" not in answer:
        process.kill()
        process.wait()
        reason = answer.get("error", f"its process ended with the status {process.returncode}")
        raise RuntimeError(f"the server of the live page did not start: {reason}")
    server = LiveServer(answer["url"], process)
    if not _started:
        atexit.register(_close_all)
    _started.append(server)
    if open_browser:
        server.open()
    return server


def _close_all() -> None:
    for server in _started:
        server.close()


def run_server() -> None:
    """Serve what the first line of the input names, until the input ends."""
    given = json.loads(sys.stdin.readline())
    if hasattr(os, "nice"):
        os.nice(10)  # Training has priority.
    try:
        from trainviz.player.server import DEFAULT_PORT, serve

        serve(
            [given["path"]], port=DEFAULT_PORT if given["port"] is None else given["port"],
            told=lambda url: print(json.dumps({"url": url}), flush=True),
            until=_input_ends,
        )  # fmt: skip
    except (OSError, ImportError, ValueError) as error:
        print(json.dumps({"error": str(error)}), flush=True)


def _input_ends() -> None:
    # Not sys.stdin.read(), whose lock would hold up the end of the interpreter.
    while os.read(0, 4096):
        pass
