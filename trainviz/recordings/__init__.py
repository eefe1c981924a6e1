"""What was captured: snapshots, the stores that keep them, files, the time axis. Internal.

Enter through :class:`trainviz.Recording` and :func:`trainviz.open_recording`.
"""
