"""Plain PyTorch: its recorder, and evaluation without side effects on training. Internal.

Enter through :class:`trainviz.TorchRecorder`.
"""
