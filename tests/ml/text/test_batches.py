"""Batches: every text once, within the budget, little padding."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml.text.batches import FIXED_TOKENS, TokenizedTexts, fixed_shape_batches, length_sorted_batches

LENGTHS = st.lists(st.integers(1, 300), max_size=200).map(lambda lengths: np.array(lengths, dtype=np.int64))


@given(LENGTHS, st.integers(64, 4096))
def test_every_row_comes_once_and_padding_is_within_the_budget(lengths, batch_tokens) -> None:
    batches = list(length_sorted_batches(lengths, batch_tokens=batch_tokens))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) * lengths[batch].max() <= batch_tokens or len(batch) == 1
        assert lengths[batch].min() >= 0.85 * lengths[batch].max()


@given(LENGTHS)
def test_a_fixed_batch_holds_one_length_and_its_size_follows_from_that_alone(lengths) -> None:
    batches = list(fixed_shape_batches(lengths))
    for batch in batches:
        assert len(set(lengths[batch])) == 1
        assert len(batch) == max(1, FIXED_TOKENS // lengths[batch[0]])
    # Filled up by repeats of its own: over all batches every text is new exactly once.
    assert sorted(row for batch in batches for row in set(batch.tolist())) == list(range(len(lengths)))


def test_padding_of_mixed_lengths_is_a_few_percent() -> None:
    lengths = np.random.default_rng(3).integers(3, 257, size=2000)
    padded = sum(len(batch) * lengths[batch].max() for batch in length_sorted_batches(lengths, batch_tokens=4096))
    assert padded / lengths.sum() < 1.05


def test_padded_gives_back_the_ids_and_reads_an_empty_text_as_one_token() -> None:
    tokens = TokenizedTexts.from_lists([[5, 6, 7], [], [8]], empty_id=9)
    ids, mask = tokens.padded(np.array([2, 0, 1]), padding_id=0)
    assert ids.tolist() == [[8, 0, 0], [5, 6, 7], [9, 0, 0]]
    assert mask.tolist() == [[True, False, False], [True, True, True], [True, False, False]]
