"""What the recorders have in common that a framework calls."""

from __future__ import annotations

from typing import Any

from trainviz.capture.recorder import Recorder
from trainviz.recordings.recording import Recording

__all__ = ["CallbackRecorder"]


class CallbackRecorder:
    """Base class of recorders that are given to a framework as a callback.

    Attributes
    ----------
    recorder : Recorder
    recording : Recording
    recordings : list of Recording
    """

    recorder: Recorder

    @property
    def recording(self) -> Recording:
        """What has been captured so far."""
        return self.recorder.recording

    @property
    def recordings(self) -> list[Recording]:
        """The recording of every model, in order; the last one is ``recording``."""
        return self.recorder.recordings

    def widget(self, **options: Any) -> Any:
        """Return the player as a widget; see :meth:`Recorder.widget`."""
        return self.recorder.widget(**options)
