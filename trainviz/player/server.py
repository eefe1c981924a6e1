"""The server of the live page: recordings on disk, for browsers on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import logging
import os
import secrets
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from trainviz._common.providers import install_hint
from trainviz.errors import RecordingError
from trainviz.player.document import MODULES, document
from trainviz.player.runs import GoneError, Run, RunTable, UnknownError
from trainviz.recordings.zarr_store.arrays import check_installed

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response, StreamingResponse
    from starlette.routing import Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
except ImportError as error:
    raise ImportError(install_hint("Starlette", "the live page")) from error

__all__ = ["DEFAULT_PORT", "LIVE_MODULES", "LiveApp", "free_socket", "serve"]

_LOG = logging.getLogger("uvicorn.error")

LIVE_MODULES = (*MODULES, "live_source.js", "runs.js", "live.js")

_POLL_SECONDS, _POLL_SHARE = 0.1, 0.05
"""Least time between two looks at the runs, and how much of the time they may take."""

_STREAM_SECONDS = 0.05
"""How often a stream looks for changes that were found."""

_BEAT_SECONDS = 10.0
"""How often a stream says that it is alive, which shows whether the browser still is."""

_MOST_STREAMS, _MOST_CONNECTIONS = 64, 256

DEFAULT_PORT = 8642

_LOCAL = ("127.0.0.1", "localhost")

_PORTS = 100
"""How many ports are tried after the one that was asked for."""


class LiveApp:
    """The pages and the interface of the server; nothing that is sent changes anything.

    ``GET /api/recordings`` and, as server-sent events, ``/api/events`` tell of
    all runs; ``/api/r/{id}`` has what the player must know of one, or with
    ``?version=&since=`` of its new snapshots; ``/api/r/{id}/snapshots/{n}`` a
    packed map and ``/api/r/{id}/thumbnails/{n}`` a picture.

    Parameters
    ----------
    table : RunTable
    hosts : sequence of str
        Values of the header Host that are answered, ``"*"`` for all.
    token : str, optional
        Without it nothing of a recording is told.
    is_ending : callable
        Whether the server is to stop, which ends the streams.
    """

    def __init__(
        self,
        table: RunTable,
        *,
        hosts: Sequence[str] = _LOCAL,
        token: str | None = None,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self._table = table
        self._is_ending = is_ending
        self._streams = 0
        self._looked = -_POLL_SECONDS
        self._thumbnail = lru_cache(maxsize=256)(Run.thumbnail)
        self._page, policy = document(
            LIVE_MODULES, "startLive(document);", title="trainviz",
            styles=("style.css", "live.css"), sources="; connect-src 'self'",
        )  # fmt: skip
        app = Starlette(
            routes=[
                Route("/", self._home, methods=["GET"]),
                Route("/api/recordings", self._recordings, methods=["GET"]),
                Route("/api/events", self._events, methods=["GET"]),
                Route("/api/r/{id}", self._facts, methods=["GET"]),
                Route("/api/r/{id}/snapshots/{n:int}", self._snapshot, methods=["GET"]),
                Route("/api/r/{id}/thumbnails/{n:int}", self._picture, methods=["GET"]),
            ],
            middleware=[
                Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
            ],
            exception_handlers={GoneError: _gone, RecordingError: _gone},
            lifespan=self._lifespan,
        )
        # Around all of it, so that it holds for an internal error as well.
        self.asgi = _Guard(app, policy=f"{policy}; frame-ancestors 'self'", token=token)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(self._watch())
        yield
        task.cancel()

    async def _watch(self) -> None:
        """Look at the runs as long as anybody listens."""
        before = 0.0
        while not self._is_ending():
            begun = time.monotonic()
            if self._streams:
                try:
                    await run_in_threadpool(self._table.refresh)
                except Exception:  # The next look may be luckier, and pages wait for it.
                    _LOG.exception("the runs could not be looked at")
                self._looked = time.monotonic()
            took = time.monotonic() - begun
            # One look alone may take long, such as the first one at a recording.
            await asyncio.sleep(max(_POLL_SECONDS, min(took, before) / _POLL_SHARE))
            before = took

    async def _refreshed(self) -> RunTable:
        if time.monotonic() - self._looked > _POLL_SECONDS:
            await run_in_threadpool(self._table.refresh)
            self._looked = time.monotonic()
        return self._table

    async def _home(self, request: Request) -> Response:
        return Response(self._page, media_type="text/html; charset=utf-8")

    async def _recordings(self, request: Request) -> Response:
        await self._refreshed()
        return _as_json(await run_in_threadpool(self._change, 0))

    def _change(self, edition: int) -> dict[str, Any]:
        """Return what has changed after an edition."""
        table = self._table
        now, runs = table.edition, table.since(edition)
        return {
            "edition": now, "note": table.note, "paths": len(table.paths),
            "runs": [run.summary() for run in runs],
        }  # fmt: skip

    async def _events(self, request: Request) -> Response:
        if self._streams >= _MOST_STREAMS:
            raise HTTPException(503, f"{_MOST_STREAMS} pages are open: close some of them")
        await self._refreshed()
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        # A browser that reads slowly holds up this loop alone, and then gets one event with the
        # newest counts: nothing waits for it in memory.
        self._streams += 1
        try:
            seen, spoken = -1, 0.0
            while not self._is_ending():
                now = time.monotonic()
                if self._table.edition != seen:
                    change = await run_in_threadpool(self._change, seen)
                    seen, spoken = change["edition"], now
                    yield f"event: runs\ndata: {json.dumps(change)}\n\n"
                elif now - spoken > _BEAT_SECONDS:
                    spoken = now
                    yield ": alive\n\n"
                await asyncio.sleep(_STREAM_SECONDS)
        finally:
            self._streams -= 1

    async def _facts(self, request: Request) -> Response:
        run = (await self._refreshed()).run(request.path_params["id"])
        version, since = _number(request, "version"), _number(request, "since")
        found = None
        if version is not None and since is not None:
            found = await run_in_threadpool(run.news, version, since)
        if found is None:
            found = await run_in_threadpool(run.facts, version)
        return _as_json(found)

    async def _snapshot(self, request: Request) -> Response:
        run, n, version = self._asked(request)
        payload = await run_in_threadpool(run.packed, n, version)
        return _cached(request, payload, "application/octet-stream")

    async def _picture(self, request: Request) -> Response:
        run, n, version = self._asked(request)
        dark = request.query_params.get("dark") == "1"
        payload = await run_in_threadpool(self._thumbnail, run, n, version, dark)
        return _cached(request, payload, "image/png")

    def _asked(self, request: Request) -> tuple[Run, int, int]:
        """Return the run, the number of a snapshot, and the version of the run, or the current."""
        run, version = self._table.run(request.path_params["id"]), _number(request, "version")
        return run, request.path_params["n"], run.version if version is None else version


class _Guard:
    """Refuses all but GET, and what lacks the token; adds headers to every answer."""

    def __init__(self, app: ASGIApp, *, policy: str, token: str | None) -> None:
        self._app = app
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._headers = [
            (name.encode(), value.encode())
            for name, value in (
                ("content-security-policy", policy), ("x-content-type-options", "nosniff"),
                ("cross-origin-resource-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"), ("referrer-policy", "no-referrer"),
            )
        ]  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                held = {name for name, _ in message["headers"]}
                own = [] if b"cache-control" in held else [(b"cache-control", b"no-store")]
                message = {**message, "headers": [*message["headers"], *self._headers, *own]}
            await send(message)

        app: ASGIApp = self._app
        if scope["method"] != "GET":
            app = PlainTextResponse("only GET is answered", 405, headers={"allow": "GET"})
        elif not self._allows(scope):
            app = PlainTextResponse("open the address that the server printed, token and all", 403)
        await app(scope, receive, answer)

    def _allows(self, scope: Scope) -> bool:
        if self._expected is None or not scope["path"].startswith("/api/"):
            return True
        given = dict(scope["headers"]).get(b"authorization", b"")
        return secrets.compare_digest(given, self._expected)


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _as_json(found: dict[str, Any]) -> Response:
    return Response(json.dumps(found, allow_nan=False), media_type="application/json")


def _cached(request: Request, payload: bytes, kind: str) -> Response:
    """Return what never changes under an address that states the version."""
    tag = f'"{hashlib.blake2b(payload, digest_size=12).hexdigest()}"'
    is_fixed = _number(request, "version") is not None
    limit = "max-age=31536000, immutable" if is_fixed else "no-cache"
    headers = {"etag": tag, "cache-control": f"private, {limit}"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(payload, media_type=kind, headers=headers)


async def _gone(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 404 if isinstance(error, UnknownError) else 410)


def free_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens at a port, or at the next one that is free.

    Parameters
    ----------
    host : str
    port : int
        0 for any.

    Raises
    ------
    OSError
        If none of a hundred ports is free, or the host is none of this machine's.

    Examples
    --------
    >>> with free_socket("127.0.0.1", 0) as first:
    ...     taken = first.getsockname()[1]
    ...     with free_socket("127.0.0.1", taken) as second:
    ...         second.getsockname()[1] > taken
    True
    """
    last = min(port + _PORTS, 65_535) if port else port
    for candidate in range(port, last + 1):
        try:
            found = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            listener = socket.socket(found[0], socket.SOCK_STREAM)
        except OSError as error:
            raise OSError(f"--host {host}: {error.strerror}") from error
        try:
            if os.name == "posix":  # Elsewhere it would take the port from who has it.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(found[4])
            listener.listen(128)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise OSError(f"--host {host} --port {port}: {error.strerror}") from error
        else:
            return listener
    raise OSError(f"--port {port}: it is in use, and so are the {last - port} after it")


def serve(
    paths: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    open_browser: bool = False,
    told: Callable[[str], Any] | None = None,
    until: Callable[[], Any] | None = None,
) -> None:
    """Serve the live page until it is interrupted.

    Parameters
    ----------
    paths : sequence of str
        Recordings, or folders of them; they need not be there yet.
    host : str, default "127.0.0.1"
        With any but this one and ``"localhost"``, a token is part of the page's address.
    port : int
        If it is in use, the next free one.
    open_browser : bool, default False
        Open the page once the server answers.
    told : callable, optional
        Called with the page's address instead of printing it.
    until : callable, optional
        Run on a thread of its own; the server ends when it returns.

    Raises
    ------
    OSError
        If the server cannot listen.
    ImportError
        If what reads recordings on disk is not installed.
    """
    check_installed()
    table = RunTable(paths)
    table.refresh()
    listener = free_socket(host, port)
    token = None if host in _LOCAL else secrets.token_urlsafe(16)
    app = LiveApp(
        table, hosts=_LOCAL if token is None else ("*",), token=token,
        is_ending=lambda: server.should_exit,
    )  # fmt: skip
    config = uvicorn.Config(
        app.asgi, log_level="warning", access_log=False, server_header=False, proxy_headers=False,
        ws="none", limit_concurrency=_MOST_CONNECTIONS,
        # The streams end by themselves; this is for a browser that has stopped reading.
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    actual = listener.getsockname()[1]
    url = _url(host, actual) + ("" if token is None else f"#token={token}")
    if port not in (0, actual):
        print(f"trainviz: port {port} is in use, so this is port {actual}", file=sys.stderr)
    if told is None:
        _print_start(table, url)
    else:
        told(url)

    def beside() -> None:
        if open_browser and not webbrowser.open(url):
            print(f"trainviz: no browser was found: open {url}", file=sys.stderr, flush=True)
        if until is not None:
            until()
            server.should_exit = True

    threading.Thread(target=beside, daemon=True).start()
    with listener, contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _print_start(table: RunTable, url: str) -> None:
    count = len(table.since(0))
    shown = "1 run" if count == 1 else f"{count} runs" if count else "no run yet"
    where = ", ".join(table.paths[:3]) + (", ..." if len(table.paths) > 3 else "")
    print(f"{url}\n{shown} at {where}; ctrl-C ends the server", flush=True)
    for path in table.paths:
        if "://" not in path and not os.path.exists(path):
            print(f"trainviz: nothing is at {path} yet; it is shown once it is", file=sys.stderr)


def _url(host: str, port: int) -> str:
    shown = socket.gethostname() if host in ("", "0.0.0.0", "::") else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"
