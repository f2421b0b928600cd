"""A long text counts to its end, and what was not read is said."""

import numpy as np
import pytest

from ml.config.pipeline import TextConfig
from ml.errors import ConfigError
from ml.text.cache import EmbeddingCache, embed
from ml.text.encoder import load_encoder

BOATS = "boat sea salt " * 30
HATS = "warm wool hat " * 30


@pytest.fixture
def encoder(tiny_model):
    """Windows of 8 tokens, two of them special."""
    return lambda **settings: load_encoder(
        TextConfig(model=str(tiny_model()), max_tokens=8, dtype="float32", device="cpu", **{"max_windows": 50, **settings})
    )


def test_the_end_of_a_long_text_moves_its_vector(encoder) -> None:
    whole, beginning = encoder(), encoder(max_windows=1)
    texts = ["boat sea salt boat sea trail", "boat sea salt boat sea trail warm wool hat hat wool boot"]
    assert np.abs(np.diff(whole.encode(texts).vectors_ND, axis=0)).max() > 1e-3
    assert np.abs(np.diff(beginning.encode(texts).vectors_ND, axis=0)).max() == 0
    assert np.linalg.norm(whole.encode(texts).vectors_ND, axis=1) == pytest.approx(1)


def test_a_window_weighs_what_it_holds(encoder) -> None:
    first, second = "boat sea salt boat sea trail", "warm wool"
    whole = encoder()
    parts = whole.encode([first, second]).vectors_ND
    expected = 8 * parts[0] + 4 * parts[1]
    np.testing.assert_allclose(whole.encode([f"{first} {second}"]).vectors_ND[0], expected / np.linalg.norm(expected), atol=1e-6)


def test_what_is_cut_off_is_counted_also_when_it_comes_from_the_cache(encoder, tmp_path) -> None:
    short = encoder(max_windows=2)
    texts = ["boat", " ".join(["boat sea"] * 6), " ".join(["boat sea"] * 7), ""]
    found = short.encode(texts)
    assert found.num_tokens_N.tolist() == [3, 16, 20, 2]
    assert found.num_cut_N.tolist() == [0, 0, 4, 0]
    for _ in range(2):
        result = embed(texts, encoder=short, cache=EmbeddingCache(tmp_path, space=short.space))
        assert (result.num_cut_texts, result.cut_share) == (1, 0.25)
    assert (result.num_encoded, result.num_tokens) == (0, 0)


def test_markup_and_invisible_signs_do_not_move_a_vector(encoder) -> None:
    plain, dressed = encoder().encode(["warm wool hat", "<p>warm\u200b wool&nbsp;<b>hat</b></p>"]).vectors_ND
    np.testing.assert_array_equal(plain, dressed)


def test_documents_and_queries_read_their_own_prompts_in_one_space(encoder, tmp_path) -> None:
    prompted = encoder(prompt="sea ", query_prompt="trail ")
    plain = encoder()
    assert prompted.space.space_id != plain.space.space_id
    document, query = (prompted.encode(["hat"], kind=kind).vectors_ND for kind in ("document", "query"))
    np.testing.assert_array_equal(document, plain.encode(["sea hat"]).vectors_ND)
    np.testing.assert_array_equal(query, plain.encode(["trail hat"]).vectors_ND)
    cache = EmbeddingCache(tmp_path, space=prompted.space)
    for kind, expected in (("document", document), ("query", query)):
        result = embed(["hat"], encoder=prompted, cache=cache, kind=kind)
        assert result.num_encoded == 1
        np.testing.assert_array_equal(result.vectors_ND, expected)


def test_fewer_numbers_are_the_first_ones_at_unit_length(encoder) -> None:
    whole, reduced = encoder(), encoder(dimension=6)
    vectors = whole.encode(["warm wool hat"]).vectors_ND[:, :6]
    np.testing.assert_allclose(reduced.encode(["warm wool hat"]).vectors_ND, vectors / np.linalg.norm(vectors), atol=1e-6)
    assert reduced.dimension == reduced.space.dimension == 6
    assert reduced.space.space_id != whole.space.space_id
    with pytest.raises(ConfigError, match="the model gives 16"):
        encoder(dimension=17)
