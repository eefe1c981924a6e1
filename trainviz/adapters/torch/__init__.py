"""Plain PyTorch: its recorder, and evaluation without side effects on training. Internal.

Enter through :class:`trainviz.TorchRecorder`.
"""

from trainviz._common.providers import install_hint

try:
    import torch as _  # noqa: F401
except ImportError as error:
    raise ImportError(install_hint("PyTorch", "TorchRecorder")) from error
