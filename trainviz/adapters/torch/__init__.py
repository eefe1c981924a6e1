"""Plain PyTorch: its recorder, and what leaves a training undisturbed. Internal.

Enter through :class:`trainviz.TorchRecorder`.
"""
