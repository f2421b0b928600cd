"""Which device and number type an encoder runs in, decided once and said aloud.

`auto` is resolved here and the outcome goes into the embedding space and the
report; what is asked for by name and is not there raises, it is never replaced.
"""

from dataclasses import dataclass
from typing import Literal

import torch

from ml.errors import ConfigError


@dataclass(frozen=True)
class Hardware:
    """What `auto` came to: `device` is cpu or cuda, `dtype` is float32, bfloat16 or int8."""

    device: str
    dtype: str

    @property
    def torch_dtype(self) -> torch.dtype:
        """The number type that weights are loaded in; 8-bit layers are made of float32."""
        return torch.bfloat16 if self.dtype == "bfloat16" else torch.float32


def resolve_hardware(*, device: Literal["auto", "cpu", "cuda"], dtype: Literal["auto", "float32", "bfloat16", "int8"]) -> Hardware:
    """Decide what `auto` means here. Raises `ConfigError` for a device that is not there, and for int8 on cuda."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("text.device is cuda, but torch finds no CUDA device; set it to auto or cpu, or mend the driver")
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if dtype == "int8" and chosen == "cuda":
        raise ConfigError("text.dtype int8 is for a cpu; on cuda set it to auto")
    if dtype != "auto":
        return Hardware(device=chosen, dtype=dtype)
    return Hardware(device=chosen, dtype="bfloat16" if has_bfloat16_units(chosen) else "float32")


def has_bfloat16_units(device: str) -> bool:
    """Whether bfloat16 products are done in hardware, so that they are faster and not only smaller.

    mkldnn's own flag is not asked: it also says yes where it emulates them.
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
