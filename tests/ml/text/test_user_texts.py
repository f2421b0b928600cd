"""A user's own words as one vector: decayed, normalised, nothing from the future."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from ml.contracts.behaviour import USER_TEXTS
from ml.contracts.vectors import vectors_to_matrix
from ml.errors import LeakageError
from ml.text.cache import EmbeddingCache
from ml.text.users import embed_user_texts

AS_OF = datetime(2026, 5, 1, tzinfo=UTC)


def texts(*rows: tuple[str, str, float]) -> pa.Table:
    """Rows of (user, text, days before as_of)."""
    return pa.Table.from_pylist(
        [
            {
                "day": (AS_OF - timedelta(days=age)).date(),
                "event_id": f"e{number}",
                "user_id": user,
                "item_id": None,
                "event_type": "search",
                "text": text,
                "event_at": AS_OF - timedelta(days=age),
            }
            for number, (user, text, age) in enumerate(rows)
        ],
        schema=USER_TEXTS.schema,
    )


@pytest.fixture
def embed_texts(tmp_path, hash_encoder):
    encoder = hash_encoder()

    def run(*rows: tuple[str, str, float]) -> pa.Table:
        cache = EmbeddingCache(tmp_path, space=encoder.space)
        return embed_user_texts(texts(*rows), encoder=encoder, cache=cache, as_of=AS_OF, half_life_days=10.0)[0]

    return run


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_a_text_one_half_life_older_counts_half(embed_texts, hash_encoder) -> None:
    table = embed_texts(("u", "old", 13.0), ("u", "new", 3.0))
    old, new = hash_encoder().encode(["old", "new"]).vectors_ND
    assert_allclose(vectors_to_matrix(table.column("vector")), [unit(0.5 * old + new)], atol=1e-6)


def test_counts_newest_time_and_order_by_user(embed_texts) -> None:
    table = embed_texts(("z", "one", 5), ("a", "two", 4), ("z", "three", 2), ("z", "one", 1))
    assert table.column("user_id").to_pylist() == ["a", "z"]
    assert table.column("num_texts").to_pylist() == [1, 3]
    assert table.column("last_text_at").to_pylist() == [AS_OF - timedelta(days=4), AS_OF - timedelta(days=1)]


def test_same_bytes_whatever_the_order_of_the_rows(embed_texts) -> None:
    table = texts(("u", "a", 9), ("v", "b", 8), ("u", "c", 8), ("u", "d", 1))
    rows = [(row["user_id"], row["text"], (AS_OF - row["event_at"]).days) for row in table.to_pylist()]
    assert embed_texts(*rows).equals(embed_texts(*rows[::-1]))


def test_words_of_ten_years_ago_still_give_a_unit_vector(embed_texts, hash_encoder) -> None:
    table = embed_texts(("u", "ancient", 36_500.0), ("u", "older", 36_510.0), ("v", "today", 0.1))
    ancient, older, today = hash_encoder().encode(["ancient", "older", "today"]).vectors_ND
    assert_allclose(vectors_to_matrix(table.column("vector")), [unit(ancient + 0.5 * older), today], atol=1e-6)


def test_white_space_says_nothing(embed_texts) -> None:
    table = embed_texts(("u", "  ", 1), ("v", "徒步", 1), ("v", "\n", 0.5))
    assert table.column("user_id").to_pylist() == ["v"]
    assert table.column("num_texts").to_pylist() == [1]


def test_nobody_wrote_anything(embed_texts) -> None:
    assert embed_texts().num_rows == 0


def test_texts_that_cancel_out_leave_the_newest(tmp_path, hash_encoder) -> None:
    class Opposite(hash_encoder):
        def encode(self, texts, *, kind="document", progress=None):
            vectors_ND = np.array([[1.0 if text == "yes" else -1.0, *[0.0] * 7] for text in texts], dtype=np.float32)
            return replace(super().encode(texts, kind=kind, progress=progress), vectors_ND=vectors_ND)

    encoder = Opposite()
    table, _ = embed_user_texts(
        texts(("u", "no", 1), ("u", "yes", 1)),
        encoder=encoder,
        cache=EmbeddingCache(tmp_path, space=encoder.space),
        as_of=AS_OF,
        half_life_days=10.0,
    )
    assert vectors_to_matrix(table.column("vector"))[0].tolist() == [1.0, *[0.0] * 7]


@pytest.mark.parametrize("age", [0.0, -1.0])
def test_words_from_the_future_are_refused(embed_texts, age) -> None:
    with pytest.raises(LeakageError, match="user_texts"):
        embed_texts(("u", "now", 1), ("u", "later", age))
