"""Hold what was captured: snapshots, their stores, files on disk, the time axis. Internal.

Enter through :class:`trainviz.Recording` and :func:`trainviz.open_recording`.
"""
