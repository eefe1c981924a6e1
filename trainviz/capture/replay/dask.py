"""Checkpoints evaluated by the workers of a Dask cluster.

A worker returns the snapshot, whose map is a few tens of kilobytes. Only the
client holds the recording's lock and appends the snapshots, in order, so that
the recording equals that of a single process. A task whose worker is killed is
run by another one.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from trainviz._common.providers import install_hint
from trainviz.capture.replay.checkpoints import Checkpoint
from trainviz.capture.replay.work import Outcome, Work
from trainviz.errors import CheckpointError
from trainviz.recordings.snapshot import Snapshot

__all__ = ["client_of", "on_workers"]

_own = threading.local()


@contextmanager
def client_of(scheduler: Any) -> Iterator[Any]:
    """Yield a client of a scheduler, and close it afterwards if it was made here.

    Parameters
    ----------
    scheduler : distributed.Client or str
        A client, or the address of a scheduler.

    Raises
    ------
    ImportError
        If Dask is not installed.
    TypeError
        If ``scheduler`` is neither.
    CheckpointError
        If no scheduler answers at the address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(install_hint("Dask", "scheduler=")) from error
    if isinstance(scheduler, Client):
        yield scheduler
        return
    if not isinstance(scheduler, str):
        raise TypeError(
            f"scheduler={scheduler!r}: expected a distributed.Client, or the address of a "
            "scheduler, e.g. 'tcp://10.0.0.1:8786'"
        )
    try:
        client = Client(scheduler, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise CheckpointError(f"scheduler={scheduler!r} does not answer: {error}") from error
    with client:
        yield client


def on_workers(client: Any, work: Work, checkpoints: Sequence[Checkpoint]) -> Iterator[Outcome]:
    """Evaluate checkpoints on the workers of a cluster.

    Parameters
    ----------
    client : distributed.Client
    work : Work
    checkpoints : sequence of Checkpoint

    Yields
    ------
    checkpoint : Checkpoint
    outcome : Snapshot or Exception
        In the order of ``checkpoints``, each as soon as those before it are there.
    """
    from distributed.protocol.pickle import dumps

    token = secrets.token_hex(8)
    # The result of a task, not scattered data, because Dask recomputes it if its worker is killed.
    payload = client.submit(_same, dumps(work), key=f"replay-work-{token}")
    futures = [
        client.submit(
            _evaluate, payload, token, checkpoint.absolute(),
            key=f"replay-{token}-{number}", pure=False,
        )
        for number, checkpoint in enumerate(checkpoints)
    ]  # fmt: skip
    try:
        for number, checkpoint in enumerate(checkpoints):
            yield checkpoint, _outcome(futures[number], checkpoint)
            futures[number].release()
    finally:
        client.cancel(futures, force=True)
        payload.release()


def _outcome(future: Any, checkpoint: Checkpoint) -> Snapshot | Exception:
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    try:
        found: Snapshot = future.result()
    except CheckpointError as error:
        return CheckpointError(str(error).replace(checkpoint.absolute().path, checkpoint.path))
    except KilledWorker as error:
        return CheckpointError(f"{checkpoint} cannot be replayed: it ended its worker: {error}")
    except FutureCancelledError as error:
        raise CheckpointError(
            f"{checkpoint} cannot be replayed: the scheduler gave it up: {error}"
        ) from error
    return replace(found, metrics=checkpoint.metrics)


def _same(payload: bytes) -> bytes:
    return payload


def _evaluate(payload: bytes, token: str, checkpoint: Checkpoint) -> Snapshot:
    """Evaluate a checkpoint on a worker."""
    return _work_of_thread(payload, token).snapshot(checkpoint)


def _work_of_thread(payload: bytes, token: str) -> Work:
    """Return this thread's own copy, because all checkpoints are loaded into its one model."""
    if getattr(_own, "token", None) != token:
        from distributed.protocol.pickle import loads

        _own.work, _own.token = loads(payload), token
    work: Work = _own.work
    return work
