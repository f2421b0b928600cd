"""Where tensors live: asked for by name, never swapped in silence."""

from typing import Literal

import torch

from ml.errors import ConfigError

DeviceName = Literal["auto", "cpu", "cuda"]


def resolve_device(name: DeviceName) -> torch.device:
    """The device of a configuration; "auto" is CUDA where there is one. Raises `ConfigError` for CUDA that is not there."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("device is 'cuda', but torch finds none; set it to 'auto' or 'cpu', or install a CUDA build of torch")
    return torch.device("cuda" if available and name != "cpu" else "cpu")
