"""Make a recording: during training, in the background, from checkpoints. Internal.

Enter through :class:`trainviz.Recorder` and :func:`trainviz.replay`.
"""
