"""Keras 3 on any backend: its recorder, and its checkpoints.

Enter through :class:`trainviz.KerasRecorder`.
"""
