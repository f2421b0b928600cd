"""What `auto` comes to on each kind of machine."""

import inspect

import pytest
import torch

from ml.text.hardware import Hardware, has_bfloat16_units, resolve_hardware


@pytest.fixture
def machine(monkeypatch):
    def pretend(*, cuda: bool = False, cuda_bfloat16: bool = False, avx512: bool = False, amx: bool = False) -> None:
        supported = inspect.signature(torch.cuda.is_bf16_supported)

        def is_bf16_supported(*args, **kwargs) -> bool:
            assert supported.bind(*args, **kwargs).arguments == {"including_emulation": False}
            return cuda_bfloat16

        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)

    return pretend


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, Hardware("cpu", "float32")),
        ({"avx512": True}, Hardware("cpu", "bfloat16")),
        ({"amx": True}, Hardware("cpu", "bfloat16")),
        ({"cuda": True, "avx512": True}, Hardware("cuda", "float32")),
        ({"cuda": True, "cuda_bfloat16": True}, Hardware("cuda", "bfloat16")),
    ],
)
def test_auto_takes_the_best_there_is(machine, parts, expected) -> None:
    machine(**parts)
    assert resolve_hardware(device="auto", dtype="auto") == expected


def test_what_is_asked_by_name_is_kept(machine) -> None:
    machine(cuda=True, cuda_bfloat16=True)
    assert resolve_hardware(device="cpu", dtype="bfloat16") == Hardware("cpu", "bfloat16")
    assert resolve_hardware(device="cuda", dtype="float32") == Hardware("cuda", "float32")
    assert resolve_hardware(device="cpu", dtype="auto") == Hardware("cpu", "float32")


def test_this_machine_answers() -> None:
    assert has_bfloat16_units("cpu") in {True, False}
    assert Hardware("cpu", "bfloat16").torch_dtype is torch.bfloat16
    assert Hardware("cpu", "float32").torch_dtype is torch.float32
