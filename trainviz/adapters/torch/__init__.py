"""Plain PyTorch: its recorder, and what leaves a torch training undisturbed.

Enter through :class:`trainviz.TorchRecorder`.
"""
