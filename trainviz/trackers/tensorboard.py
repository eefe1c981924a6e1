"""TensorBoard: event files, written without TensorFlow and without torch."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Hashable, Mapping
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from trainviz._common.providers import install_hint
from trainviz.trackers.tracker import FilmFormat

__all__ = ["EventFile", "TensorBoard", "TensorBoardWriter"]

_numbers = count()


class TensorBoard:
    """A folder of TensorBoard, or the base of a writer that the user has opened.

    An encoded picture is written as it is, so that a GIF plays in the page of TensorBoard.

    Parameters
    ----------
    folder : path-like
        A run of TensorBoard; made if it is not there.
    """

    name = "TensorBoard"
    film_formats: tuple[FilmFormat, ...] = ("gif",)

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            from tensorboard.compat.proto import summary_pb2
        except ImportError as error:
            raise ImportError(install_hint("TensorBoard", "log_to()")) from error
        self.folder = Path(folder).expanduser().absolute()
        self.place: Hashable = (self.name, str(self.folder))
        self._messages = summary_pb2
        self._file: EventFile | None = None

    def still(self, tag: str, png: bytes, step: int, caption: str) -> None:
        """Write a picture; its epoch is written in it."""
        self._add(self._picture(tag, png), step)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write a point of each curve."""
        point = self._messages.Summary.Value
        self._add([point(tag=tag, simple_value=value) for tag, value in values.items()], step)

    def film(self, tag: str, path: Path, step: int) -> None:
        """Write a GIF."""
        self._add(self._picture(tag, path.read_bytes()), step)

    def page(self, tag: str, path: Path, step: int) -> None:
        """Put the page beside the event file, because TensorBoard shows none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, self.folder / path.name)

    def close(self) -> None:
        """Close the event file; the next picture opens another one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _picture(self, tag: str, encoded: bytes) -> list[Any]:
        from PIL import Image

        width, height = Image.open(BytesIO(encoded)).size
        image = self._messages.Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=encoded
        )
        return [self._messages.Summary.Value(tag=tag, image=image)]

    def _add(self, values: list[Any], step: int) -> None:
        if self._file is None:
            self._file = EventFile(self.folder)
        self._file.add(self._messages.Summary(value=values), step)


class TensorBoardWriter(TensorBoard):
    """A ``SummaryWriter`` of torch or tensorboardX, whose event file is written to.

    A file of our own in its folder would hide what it writes: TensorBoard reads
    only the newest file of a folder.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        known = getattr(writer, "log_dir", None) or getattr(writer, "logdir", None)
        self.folder = Path(known or ".").absolute()
        self.place = (self.name, str(self.folder))
        # Each has messages of its own, which the other does not take.
        if type(writer).__module__.partition(".")[0] == "tensorboardX":
            from tensorboardX.proto import summary_pb2
        else:
            from tensorboard.compat.proto import summary_pb2
        self._messages = summary_pb2

    def close(self) -> None:
        """Write what waits in the writer; it stays open."""
        self._writer.flush()

    def _add(self, values: list[Any], step: int) -> None:
        # The only way to a picture that is not encoded again; add_image makes a PNG of a GIF.
        self._writer._get_file_writer().add_summary(self._messages.Summary(value=values), step)


class EventFile:
    """An event file, of which each record is on the disk once it is added.

    TensorBoard's own writer would import TensorFlow, where it is installed.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        # The form that TensorBoard looks for; it reads the files of a folder in this order.
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
        path = folder / f"{name}.{os.getpid()}.{next(_numbers)}.trainviz"
        self._file: BinaryIO = path.open("wb")
        self._records = RecordWriter(self._file)
        self._event = event_pb2.Event
        self._write(self._event(wall_time=time.time(), file_version="brain.Event:2"))

    def add(self, summary: Any, step: int) -> None:
        """Write a ``Summary``."""
        self._write(self._event(wall_time=time.time(), step=step, summary=summary))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, event: Any) -> None:
        self._records.write(event.SerializeToString())
        self._file.flush()
