"""Keras 3 on any backend: its recorder, and its checkpoints. Internal.

Enter through :class:`trainviz.KerasRecorder`.
"""
