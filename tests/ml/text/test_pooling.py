"""Pooling against literal numbers, with the padding on either side."""

import pytest
import torch

from ml.text.pooling import pool

HIDDEN = torch.tensor([[1.0, 10.0], [2.0, 20.0], [6.0, 60.0]])
JUNK = torch.full((2, 2), 1e9)


@pytest.mark.parametrize(("pooling", "expected"), [("mean", [3.0, 30.0]), ("cls", [1.0, 10.0]), ("last", [6.0, 60.0])])
def test_padding_on_either_side_is_never_read(pooling, expected) -> None:
    hidden = torch.stack([torch.cat([HIDDEN, JUNK]), torch.cat([JUNK, HIDDEN])])
    mask = torch.tensor([[True, True, True, False, False], [False, False, True, True, True]])
    assert pool(hidden, mask_BT=mask, pooling=pooling).tolist() == [expected, expected]


def test_mean_of_bfloat16_is_summed_in_float32() -> None:
    hidden = torch.ones((1, 300, 1), dtype=torch.bfloat16)
    pooled = pool(hidden, mask_BT=torch.ones((1, 300), dtype=torch.bool), pooling="mean")
    assert pooled.dtype == torch.float32
    assert pooled.item() == 1.0
