"""Reads what an offline run of Weights & Biases has kept: its records, in wandb's own messages."""

import json
import struct
import time

from wandb.proto import wandb_internal_pb2 as messages

BLOCK = 32768


def rows_of(folder):
    """Return the rows of the history of the one run in a folder, each a dict by key."""
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    kept: list = []
    # Its process writes the end of the file after the run is finished here.
    for _ in range(500):
        kept = list(_records(path.read_bytes()))
        if any(record.WhichOneof("record_type") == "exit" for record in kept):
            break
        time.sleep(0.02)
    rows = []
    for record in kept:
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            rows.append(
                {"/".join(each.nested_key) or each.key: json.loads(each.value_json)
                 for each in items}
            )  # fmt: skip
    return rows


def _records(data):
    """Yield the messages of a log in LevelDB's format, after the seven bytes of W&B's header."""
    place, parts = 7, []
    while place + 7 <= len(data):
        if BLOCK - place % BLOCK < 7:
            place += BLOCK - place % BLOCK
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        parts.append(data[place + 7 : place + 7 + length])
        place += 7 + length
        # 1 is a whole message, 2 to 4 are the first, middle and last parts of one.
        if kind in (1, 4):
            yield messages.Record.FromString(b"".join(parts))
            parts = []
