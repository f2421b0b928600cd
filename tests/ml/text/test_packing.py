"""Packs: every text once, within the width that its own length gives it, and only for models that compute the same in them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel, ModernBertConfig, ModernBertModel, RobertaConfig, RobertaModel

from ml.text.packing import packs, prepare_packing, stretches

LENGTHS = st.lists(st.integers(1, 300), max_size=200).map(lambda lengths: np.array(lengths, dtype=np.int64))
SIZES = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
IDS = np.arange(5, 60)


@given(LENGTHS)
def test_every_text_comes_once_and_fits(lengths) -> None:
    found = list(packs(lengths, longest=300))
    assert sorted(row for pack in found for row in pack.rows) == list(range(len(lengths)))
    width_of = {length: width for pack in found for length, width in ((lengths[row], pack.width) for row in pack.rows)}
    for pack in found:
        assert 0 < lengths[pack.rows].sum() <= pack.width
        assert {width_of[length] for length in lengths[pack.rows]} == {pack.width}


@given(LENGTHS)
def test_stretches_tell_where_each_text_lies(lengths) -> None:
    found = [(stretch.start + place * stretch.length, stretch.length) for stretch in stretches(lengths) for place in range(stretch.number)]
    assert found == list(zip(np.cumsum(lengths) - lengths, lengths, strict=True))


@pytest.mark.parametrize(
    "network",
    [
        BertModel(BertConfig(**SIZES, max_position_embeddings=128)),
        RobertaModel(RobertaConfig(**SIZES, max_position_embeddings=130)),
        LlamaModel(LlamaConfig(**SIZES, num_key_value_heads=1)),
    ],
    ids=["bert", "roberta", "llama with shared keys"],
)
def test_plain_attention_is_packed(network) -> None:
    network.eval().config.use_cache = False
    assert prepare_packing(network, longest=100, ids=IDS)


def test_attention_through_a_window_is_not_and_the_network_stays_as_it_was() -> None:
    torch.manual_seed(1)
    network = ModernBertModel(
        ModernBertConfig(**SIZES, local_attention=8, global_attn_every_n_layers=2, pad_token_id=0, max_position_embeddings=128)
    )
    ids = torch.from_numpy(np.resize(IDS, 100))[None]
    network.eval()
    with torch.inference_mode():
        before = network(input_ids=ids).last_hidden_state
        assert not prepare_packing(network, longest=100, ids=IDS)
        torch.testing.assert_close(network(input_ids=ids).last_hidden_state, before)
