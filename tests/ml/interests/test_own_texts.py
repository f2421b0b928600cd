"""What texts say of interest points: named ones first, by sentiment, in two languages, whatever the order."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.config.pipeline import InterestConfig, ReviewConfig
from ml.contracts.behaviour import USER_TEXTS
from ml.contracts.meaning import INTEREST_POINTS, REVIEW_SIGNALS, REVIEWER_SIGNALS, TEXT_INTERESTS
from ml.errors import EmbeddingSpaceError, LeakageError
from ml.interests import own_texts
from ml.interests.own_texts import MAX_HALF_LIVES, find_text_interests, in_order
from ml.reviews.weighing import weigh_text_interests
from tests.ml.interests.catalogues import AS_OF, SPACE, make_points, shuffled

CONFIG = InterestConfig(half_life_days=10)
NO_REVIEWS = REVIEW_SIGNALS.empty()
POINTS = make_points(
    [
        {"interest_id": "tag:hiking boot", "specificity": 2.0},
        {"interest_id": "tag:tent", "aliases": ["帐篷", "bivouac"]},
        {"interest_id": "tag:徒步"},
        {"interest_id": "keyphrase:wool", "specificity": 4.0},
        {"interest_id": "category:shoes"},
        {"interest_id": "tag:the"},
        *({"interest_id": f"tag:far {number}", "vector": [0.0, 1.0, 0.0, 0.0]} for number in range(20)),
        {"interest_id": "tag:mountain", "vector": [1.0, 0.0, 0.0, 0.0]},
    ]
)
MOUNTAINS, NOTHING = (0.8, 0.0, 0.6, 0.0), (0.0, 0.0, 1.0, 0.0)
Row = tuple[str, str | None, str, float]


def make_texts(rows: list[Row]) -> pa.Table:
    """(user, item or None, words, days before `AS_OF`)."""
    at = [AS_OF - timedelta(days=row[3]) for row in rows]
    columns = {
        "day": [instant.date() for instant in at],
        "event_id": [f"e{number:02}" for number in range(len(rows))],
        "user_id": [row[0] for row in rows],
        "item_id": [row[1] for row in rows],
        "event_type": ["search" if row[1] is None else "review" for row in rows],
        "text": [row[2] for row in rows],
        "event_at": at,
    }
    return pa.table(columns, schema=USER_TEXTS.schema)


def signal(number: int, user: str, *, sentiment: float | None = None, stars: float | None = None) -> dict[str, object]:
    """What was found out about the review of event `number`."""
    return {
        "event_id": f"e{number:02}",
        "user_id": user,
        "item_id": "i",
        "event_at": AS_OF - timedelta(days=1),
        "weight": 1.0 if stars is None else stars,
        "is_rated": stars is not None,
        "sentiment": sentiment,
        "confidence": None,
        "is_abstained": sentiment is None,
        "contradiction": 0.0,
        "twin_at": None,
        "reviewer_credibility": 1.0,
        "credibility": 1.0,
        "reasons": [],
    }


def signals(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=REVIEW_SIGNALS.schema)


def find(
    texts: pa.Table,
    *,
    points: pa.Table = POINTS,
    reviews: pa.Table = NO_REVIEWS,
    config: InterestConfig = CONFIG,
    vectors: dict[str, tuple[float, ...]] | None = None,
    space_id: str = SPACE,
) -> pa.Table:
    known = in_order(texts, config=config, as_of=AS_OF)
    vectors_ND = np.array([(vectors or {}).get(text, NOTHING) for text in known.column("text").to_pylist()], dtype=np.float32)
    return find_text_interests(
        known,
        vectors_ND=vectors_ND.reshape(-1, 4),
        space_id=space_id,
        interest_points=points,
        review_signals=reviews,
        language="auto",
        config=config,
    )


def said(table: pa.Table) -> dict[str, float]:
    return {row["interest_id"]: row["weight"] for row in table.to_pylist()}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("Hiking boots, please", {"tag:hiking boot"}),
        ("HIKING-BOOT", {"tag:hiking boot"}),
        ("a bivouac for two", {"tag:tent"}),
        ("tents and shoes", {"tag:tent", "category:shoes"}),
        ("content of a shoebox", set()),
        ("hiking. Boots", {"tag:hiking boot"}),
        ("hiking, boots", set()),
        ("轻便徒步帐篷", {"tag:徒步", "tag:tent"}),
        ("适合boot的帐篷", {"tag:tent"}),
        ("the", set()),
        ("🙂", set()),
    ],
)
def test_points_named_by_their_name_or_an_alias(words: str, named: set[str]) -> None:
    assert set(said(find(make_texts([("u", None, words, 1)])))) == named


def test_a_named_point_weighs_what_it_would_in_an_item_and_a_text_has_unit_length() -> None:
    found = said(find(make_texts([("u", None, "wool tent, hiking boots", 1)])))
    raw = {"tag:hiking boot": 2.0, "tag:tent": 1.0, "keyphrase:wool": 4.0 * CONFIG.keyphrase_weight}
    length = np.sqrt(sum(weight**2 for weight in raw.values()))
    assert found == pytest.approx({interest: weight / length for interest, weight in raw.items()})


def test_points_near_in_meaning_come_after_named_ones() -> None:
    texts = make_texts([("u", None, "a tent for the alps", 1)])
    found = said(find(texts, vectors={"a tent for the alps": MOUNTAINS}))
    assert found == pytest.approx({"tag:tent": 1 / np.hypot(1, 0.8), "tag:mountain": 0.8 / np.hypot(1, 0.8)}, rel=1e-6)
    one = CONFIG.model_copy(update={"max_interests_per_text": 1})
    assert said(find(texts, vectors={"a tent for the alps": MOUNTAINS}, config=one)) == {"tag:tent": 1.0}


def test_a_text_of_stop_words_is_near_to_nothing() -> None:
    for words in ("and this", "因为", "42", "..."):
        assert find(make_texts([("u", None, words, 1)]), vectors={words: MOUNTAINS}).num_rows == 0


def test_what_a_review_says_is_its_sentiment_then_its_stars() -> None:
    rows: list[Row] = [(f"u{number}", "i", "tent", 1) for number in range(6)]
    reviews = signals(
        signal(0, "u0", sentiment=0.8),
        signal(1, "u1", sentiment=-0.6, stars=2.0),
        signal(2, "u2", stars=-2.0),
        signal(3, "u3", stars=1.0),
        signal(4, "u4"),
    )
    found = find(make_texts(rows), reviews=reviews).to_pylist()
    # Neither sentiment nor stars, and a text that nobody judged: nothing said.
    assert [(row["user_id"], row["weight"]) for row in found] == [("u0", 0.8), ("u1", -0.6), ("u2", -1.0), ("u3", 1.0)]
    assert {row["item_id"] for row in found} == {"i"}


def test_equal_event_ids_of_two_users_are_two_texts() -> None:
    texts = make_texts([("u", "i", "tent", 1), ("v", "i", "tent", 1)]).to_pylist()
    same = pa.Table.from_pylist([{**row, "event_id": "e00"} for row in texts], schema=USER_TEXTS.schema)
    found = find(same, reviews=signals(signal(0, "u", sentiment=0.5), signal(0, "v", sentiment=-0.5)))
    assert found.column("weight").to_pylist() == [0.5, -0.5]


def test_old_texts_are_left_out() -> None:
    days = MAX_HALF_LIVES * CONFIG.half_life_days
    found = find(make_texts([("u", None, "tent", days), ("u", None, "tent", days + 0.01)]))
    assert found.column("event_id").to_pylist() == ["e00"]


def test_nothing_to_say_is_no_error() -> None:
    search = make_texts([("u", None, "tent", 1)])
    for texts, points in (
        (USER_TEXTS.empty(), POINTS),
        (make_texts([("u", None, " \n", 1), ("u", None, "", 1)]), POINTS),
        (make_texts([("u", "i", "tent", 1)]), POINTS),
        (search, INTEREST_POINTS.empty()),
        (search, make_points([{"interest_id": "tag:...", "name": "..."}])),
        (USER_TEXTS.empty(), INTEREST_POINTS.empty()),
    ):
        found = find(texts, points=points)
        assert found.num_rows == 0
        assert found.schema.equals(TEXT_INTERESTS.schema)


def test_two_points_of_one_name_are_both_named() -> None:
    points = make_points([{"interest_id": "tag:tent"}, {"interest_id": "theme:tent"}])
    assert set(said(find(make_texts([("u", None, "tent", 1)]), points=points))) == {"tag:tent", "theme:tent"}


def test_the_future_another_space_and_missing_vectors_are_refused() -> None:
    with pytest.raises(LeakageError, match="user_texts: 1 row"):
        in_order(make_texts([("u", None, "tent", 0)]), config=CONFIG, as_of=AS_OF)
    with pytest.raises(EmbeddingSpaceError):
        find(make_texts([("u", None, "tent", 1)]), space_id="another")
    with pytest.raises(ValueError, match="1 texts but 0 vectors"):
        find_text_interests(
            make_texts([("u", None, "tent", 1)]),
            vectors_ND=np.zeros((0, 4), dtype=np.float32),
            space_id=SPACE,
            interest_points=POINTS,
            review_signals=REVIEW_SIGNALS.empty(),
            language="auto",
            config=CONFIG,
        )


words = st.lists(st.sampled_from(["tent", "wool", "帐篷", "alps", "the", ",", "shoes", "boot", "hiking"]), max_size=5).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("uv"), st.sampled_from([None, "i"]), words, st.integers(1, 120)), max_size=12), st.integers(0, 99)
)
def test_any_texts_are_bounded_and_without_order(rows: list[Row], seed: int) -> None:
    texts = make_texts(rows)
    reviews = signals(*(signal(number, row[0], sentiment=-0.5) for number, row in enumerate(rows)))
    near = {row[2]: MOUNTAINS for row in rows[::2]}
    found = find(texts, reviews=reviews, vectors=near)
    again = find(shuffled(texts, seed=seed), points=shuffled(POINTS, seed=seed), reviews=shuffled(reviews, seed=seed), vectors=near)
    assert again.equals(found)
    lengths: dict[tuple[str, str], float] = {}
    for row in found.to_pylist():
        assert np.sign(row["weight"]) == (1 if row["item_id"] is None else -1)
        lengths[row["event_id"], row["user_id"]] = lengths.get((row["event_id"], row["user_id"]), 0.0) + row["weight"] ** 2
    assert all(length == pytest.approx(1.0) or length == pytest.approx(0.25) for length in lengths.values())
    keys = list(zip(*(found.column(name).to_pylist() for name in TEXT_INTERESTS.key), strict=True))
    assert keys == sorted(keys)


def test_blocks_of_texts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows: list[Row] = [("u", None, f"{rng.choice(['tent', 'wool', 'boot'])} {number % 37}", 1) for number in range(200)]
    vectors = {row[2]: tuple(rng.normal(size=4)) for row in rows}
    whole = find(make_texts(rows), vectors=vectors)
    monkeypatch.setattr(own_texts, "BLOCK_PAIRS", 7 * POINTS.num_rows)
    assert find(make_texts(rows), vectors=vectors).equals(whole)


def test_who_is_not_believed_says_less() -> None:
    found = find(make_texts([("u", None, "tent", 1), ("v", None, "tent", 1)]))
    doubted = {column.name: [] if pa.types.is_list(column.dtype) else 0.0 for column in REVIEWER_SIGNALS.columns}
    doubted |= {"user_id": "u", "num_items": 1, "num_reviews": 1, "credibility": 0.25}
    reviewers = pa.Table.from_pylist([doubted], schema=REVIEWER_SIGNALS.schema)
    assert weigh_text_interests(found, reviewer_signals=reviewers, config=ReviewConfig()).column("weight").to_pylist() == [0.25, 1.0]
