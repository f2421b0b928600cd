"""Interest points of small catalogues whose right answers are known, and of real ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.config.pipeline import InterestConfig
from ml.contracts.behaviour import ITEMS
from ml.contracts.meaning import INTEREST_POINTS, ITEM_INTERESTS
from ml.contracts.vectors import vectors_to_matrix
from ml.errors import EmbeddingSpaceError, UnknownIdError
from ml.interests.points import find_interests
from tests.ml.interests.catalogues import SPACE, embed, make_items, shuffled, tagged

EVERYTHING = InterestConfig(min_items=1, max_item_share=1.0)


def interests_of(
    items: pa.Table, *, config: InterestConfig | None = None, vectors_ID: np.ndarray | None = None, language: str = "auto"
) -> tuple[pa.Table, pa.Table]:
    return find_interests(items, item_embeddings=embed(items, vectors_ID=vectors_ID), config=config or InterestConfig(), language=language)


def ids(points: pa.Table) -> list[str]:
    found: list[str] = points.column("interest_id").to_pylist()
    return found


def carried(item_interests: pa.Table) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {}
    for row in item_interests.to_pylist():
        rows.setdefault(row["item_id"], {})[row["interest_id"]] = row["weight"]
    return rows


def test_tags_within_bounds_become_points() -> None:
    items = tagged({"a": ["red", "all"], "b": ["red", "all"], "c": ["blue", "all"], "d": ["all"]})
    points, item_interests = interests_of(items)
    assert ids(points) == ["tag:red"]
    assert points.to_pylist()[0] | {"vector": None} == {
        "interest_id": "tag:red",
        "name": "red",
        "kind": "tag",
        "parent_id": None,
        "aliases": [],
        "num_items": 2,
        "specificity": pytest.approx(np.log(1 + 4 / 2)),
        "space_id": SPACE,
        "vector": None,
    }
    assert carried(item_interests) == {"a": {"tag:red": 1.0}, "b": {"tag:red": 1.0}}


def test_weights_are_strength_times_specificity_of_unit_norm() -> None:
    items = make_items(
        [
            {"item_id": "a", "tags": ["red"], "category": "Hats", "is_catalogued": False},
            {"item_id": "b", "tags": ["red"], "is_catalogued": False},
            {"item_id": "c", "category": "Hats", "is_catalogued": False},
            {"item_id": "d", "category": "Hats", "is_catalogued": False},
        ]
    )
    _, item_interests = interests_of(items, config=EVERYTHING)
    red, hats = 1.0 * np.log(1 + 4 / 2), 0.8 * np.log(1 + 4 / 3)
    found = carried(item_interests)["a"]
    assert found["tag:red"] == pytest.approx(red / np.hypot(red, hats))
    assert found["category:hats"] == pytest.approx(hats / np.hypot(red, hats))


def test_vectors_are_unit_weighted_means() -> None:
    items = tagged({"a": ["red"], "b": ["red"], "c": ["blue"], "d": ["blue"]})
    points, _ = interests_of(items, vectors_ID=np.array([[1.0, 0], [0, 1.0], [0, 1.0], [0, 1.0]]))
    expected = {"tag:red": [0.5**0.5, 0.5**0.5], "tag:blue": [0.0, 1.0]}
    for row in points.to_pylist():
        np.testing.assert_allclose(row["vector"], expected[row["interest_id"]], atol=1e-6)


def test_one_name_as_tag_category_and_phrase_is_the_tags_point() -> None:
    items = make_items(
        [
            {"item_id": "a", "title": "x", "tags": ["Trail Running"]},
            {"item_id": "b", "title": "x", "category": "Sports > trail  running"},
            {"item_id": "c", "title": "Shoes for trail running"},
            {"item_id": "d", "title": "Trail running hat"},
            *({"item_id": f"other-{row}", "title": "Nothing of the kind"} for row in range(4)),
        ]
    )
    points, item_interests = interests_of(items)
    assert [name for name in ids(points) if "trail running" in name] == ["tag:trail running"]
    holders = {item for item, found in carried(item_interests).items() if "tag:trail running" in found}
    assert holders == {"a", "b", "c", "d"}


def test_mentions_join_plural_and_singular() -> None:
    titles = ["x", "A running shoe", "Red running shoes", "hat", "sock", "coat"]
    items = make_items(
        [{"item_id": str(row), "title": title, "tags": [] if row else ["Running Shoes"]} for row, title in enumerate(titles)]
    )
    points, item_interests = interests_of(items)
    assert ids(points) == ["tag:running shoes"]
    assert set(carried(item_interests)) == {"0", "1", "2"}


def test_a_mention_in_one_text_alone_is_no_evidence() -> None:
    items = make_items(
        [{"item_id": str(row), "title": "wool" if row == 0 else "x", "tags": [[], ["wool"]][0 < row < 3]} for row in range(8)]
    )
    _, item_interests = interests_of(items)
    assert set(carried(item_interests)) == {"1", "2"}


def test_mentions_never_make_a_tag_too_common() -> None:
    items = make_items(
        [{"item_id": str(row), "title": "wool thing", "tags": ["wool"] if row < 2 else []} for row in range(5)]
        + [{"item_id": str(row), "title": "other"} for row in range(5, 8)]
    )
    _, item_interests = interests_of(items)
    assert [item for item, found in carried(item_interests).items() if "tag:wool" in found] == ["0", "1"]


def test_the_same_tag_twice_counts_once() -> None:
    once = interests_of(tagged({"a": ["red"], "b": ["red"], "c": ["x"], "d": []}))
    twice = interests_of(tagged({"a": ["red", "RED ", "red"], "b": ["red"], "c": ["x"], "d": []}))
    assert once[1].equals(twice[1])


def test_a_kind_of_weight_zero_is_left_out() -> None:
    items = make_items([{"item_id": item, "title": "warm wool", "tags": ["red"], "category": "Hats"} for item in "ab"])
    for kind in ("tag", "category", "keyphrase"):
        config = InterestConfig(max_item_share=1.0, **{f"{kind}_weight": 0.0})  # type: ignore[arg-type]
        points, _ = interests_of(items, config=config)
        assert set(points.column("kind").to_pylist()) == {"tag", "category", "keyphrase"} - {kind}


def two_themes(num_items: int = 40) -> tuple[pa.Table, np.ndarray]:
    """Half of the items are about vampires, half about football; "golden" stands in every third of both."""
    theme_I = np.arange(num_items) % 2
    titles = [f"{'vampire castle' if theme else 'football league'} {'golden' if row % 3 == 0 else ''}" for row, theme in enumerate(theme_I)]
    vectors_ID = np.eye(2)[theme_I] + 0.05 * np.random.default_rng(1).normal(size=(num_items, 2))
    return make_items([{"item_id": f"{row:03d}", "title": title} for row, title in enumerate(titles)]), vectors_ID


def test_phrases_that_mean_something_win() -> None:
    items, vectors_ID = two_themes()
    points, _ = interests_of(items, vectors_ID=vectors_ID, config=InterestConfig(max_keyphrases=2))
    assert ids(points) == ["keyphrase:football league", "keyphrase:vampire castle"]


def test_a_phrase_within_a_longer_one_goes() -> None:
    items, vectors_ID = two_themes()
    points, _ = interests_of(items, vectors_ID=vectors_ID, config=InterestConfig(max_keyphrases=3))
    assert "keyphrase:vampire" not in ids(points)
    assert "keyphrase:castle" not in ids(points)


def test_limits_on_keyphrases_hold() -> None:
    rng = np.random.default_rng(3)
    words = np.array([f"{left}{right}ing" for left in "bcdfg" for right in "aeiou"])
    items = make_items(
        [{"item_id": f"{row:03d}", "title": " , ".join(rng.choice(words, 12, replace=False)), "tags": ["t"]} for row in range(60)]
    )
    config = InterestConfig(max_keyphrases_per_item=3, max_keyphrases=10, max_item_share=1.0)
    points, item_interests = interests_of(items, config=config)
    kinds = points.column("kind").to_pylist()
    assert kinds.count("keyphrase") <= 10
    of_phrases = item_interests.filter(pc.starts_with(item_interests.column("interest_id"), "keyphrase:"))
    assert max(of_phrases.group_by("item_id").aggregate([([], "count_all")]).column("count_all").to_pylist()) == 3


def test_every_item_that_shares_anything_has_a_point() -> None:
    rng = np.random.default_rng(5)
    rows = [{"item_id": f"{row:03d}", "title": " , ".join(rng.choice([f"w{number}x" for number in range(40)], 12))} for row in range(50)]
    rows += [{"item_id": "lonely-1", "title": "zebra w1x"}, {"item_id": "lonely-2", "title": "zebra"}, {"item_id": "mute", "title": "qqq"}]
    _, item_interests = interests_of(make_items(rows), config=InterestConfig(max_keyphrases_per_item=2))
    assert set(carried(item_interests)) == {str(row["item_id"]) for row in rows} - {"mute"}


def test_chinese_and_mixed_texts_give_points_of_both() -> None:
    titles = ["防水登山鞋 for mountain trails", "轻便登山鞋", "mountain trails map", "咖啡机", "手冲咖啡机", "tea cup"]
    points, item_interests = interests_of(make_items([{"item_id": str(row), "title": title} for row, title in enumerate(titles)]))
    assert {"keyphrase:登山鞋", "keyphrase:mountain trail", "keyphrase:咖啡机"} <= set(ids(points))
    assert {"keyphrase:登山鞋", "keyphrase:mountain trail"} <= set(carried(item_interests)["0"])
    assert "mountain trails" in points.column("name").to_pylist()


def test_chinese_tags_are_named_in_texts() -> None:
    titles = ["甲", "防水登山鞋", "登山鞋很轻", "乙", "丙", "丁"]
    items = make_items([{"item_id": str(row), "title": title, "tags": [] if row else ["登山鞋"]} for row, title in enumerate(titles)])
    points, item_interests = interests_of(items, language="zh")
    assert ids(points) == ["tag:登山鞋"]
    assert set(carried(item_interests)) == {"0", "1", "2"}


def test_titles_that_are_only_ids_say_nothing() -> None:
    items = make_items([{"item_id": f"sku {row}", "title": f"sku {row}", "is_catalogued": False} for row in range(6)])
    points, item_interests = interests_of(items, config=EVERYTHING)
    assert points.num_rows == item_interests.num_rows == 0


@pytest.mark.parametrize("num_items", [0, 1, 3])
def test_items_without_a_word(num_items: int) -> None:
    items = make_items([{"item_id": str(row), "title": ""} for row in range(num_items)])
    points, item_interests = interests_of(items)
    assert points.schema.equals(INTEREST_POINTS.schema)
    assert item_interests.schema.equals(ITEM_INTERESTS.schema)
    assert points.num_rows == item_interests.num_rows == 0


def test_one_item_has_its_own_points_where_one_is_enough() -> None:
    items = make_items([{"item_id": "a", "title": "Warm wool hat", "tags": ["红"]}])
    points, item_interests = interests_of(items, config=EVERYTHING)
    assert "tag:红" in ids(points)
    assert "keyphrase:warm wool hat" in ids(points)
    assert set(carried(item_interests)) == {"a"}
    assert interests_of(items)[0].num_rows == 0


def test_order_of_items_and_embeddings_does_not_matter() -> None:
    items, vectors_ID = two_themes(31)
    embeddings = embed(items, vectors_ID=vectors_ID)
    expected = find_interests(items, item_embeddings=embeddings, config=InterestConfig(), language="en")
    for seed in range(3):
        again = find_interests(
            shuffled(items, seed=seed), item_embeddings=shuffled(embeddings, seed=seed + 9), config=InterestConfig(), language="en"
        )
        assert again[0].equals(expected[0])
        assert again[1].equals(expected[1])


def test_two_embedding_spaces_are_refused() -> None:
    items = tagged({"a": ["red"], "b": ["red"]})
    mixed = pa.concat_tables([embed(items.slice(0, 1)), embed(items.slice(1, 1), space="space-b")])
    with pytest.raises(EmbeddingSpaceError, match="space-a and space-b"):
        find_interests(items, item_embeddings=mixed, config=InterestConfig(), language="en")


def test_an_item_without_a_vector_is_named() -> None:
    items = tagged({"a": ["red"], "b": ["red"]})
    with pytest.raises(UnknownIdError, match="'b'"):
        find_interests(items, item_embeddings=embed(items.slice(0, 1)), config=InterestConfig(), language="en")


names = st.sampled_from(["red", "Red ", "blue", "绿色", "warm wool", "", " "])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.lists(names, max_size=4), st.lists(names, max_size=3), names), min_size=1, max_size=8), st.integers(1, 3))
def test_bounds_hold_for_any_catalogue(rows: list[tuple[list[str], list[str], str]], min_items: int) -> None:
    items = make_items(
        [
            {"item_id": str(position), "tags": tags, "category": " > ".join(levels) or None, "title": title}
            for position, (tags, levels, title) in enumerate(rows)
        ]
    )
    config = InterestConfig(min_items=min_items, max_item_share=1.0)
    points, item_interests = interests_of(items, config=config)
    weights = np.asarray(item_interests.column("weight"))
    assert ((weights > 0) & (weights <= 1)).all()
    for found in carried(item_interests).values():
        assert np.sum(np.square(list(found.values()))) == pytest.approx(1.0)
    counted = item_interests.group_by("interest_id").aggregate([([], "count_all")]).sort_by("interest_id")
    assert counted.column("interest_id").to_pylist() == ids(points)
    assert counted.column("count_all").to_pylist() == points.column("num_items").to_pylist()
    assert min(points.column("num_items").to_pylist(), default=min_items) >= min_items
    np.testing.assert_allclose(np.linalg.norm(vectors_to_matrix(points.column("vector")), axis=1), 1.0, rtol=1e-5)


def test_movielens_genres_and_themes_are_found(real_data: Callable[[str], Path]) -> None:
    films = pq.read_table(real_data("movielens-small-text") / "movies.parquet")
    films = films.filter(pc.is_valid(films.column("overview"))).slice(0, 2000).to_pylist()
    rows = [
        {"item_id": str(film["movieId"]), "title": film["title"], "text": film["overview"], "tags": film["genres"].split("|")}
        for film in films
    ]
    points, item_interests = interests_of(make_items(rows), language="en")
    assert {"tag:comedy", "tag:horror", "tag:sci-fi", "tag:western", "tag:film-noir"} <= set(ids(points))
    assert {"keyphrase:serial killer", "keyphrase:world war ii", "keyphrase:vampire"} <= set(ids(points))
    assert not {"keyphrase:the", "keyphrase:new", "keyphrase:york city"} & set(ids(points))
    assert len(carried(item_interests)) == len(rows)


def test_douban_genres_and_chinese_themes_are_found(real_data: Callable[[str], Path]) -> None:
    films = pq.read_table(real_data("zh-douban-movies-1000") / "movies.parquet").slice(0, 500).to_pylist()
    rows = [
        {"item_id": str(film["movie"]), "title": film["title"] or "", "text": film["summary"], "tags": film["type"].split(",")}
        for film in films
    ]
    points, item_interests = interests_of(make_items(rows), language="zh")
    assert {"tag:喜剧", "tag:爱情", "tag:科幻", "tag:西部"} <= set(ids(points))
    kinds = np.asarray(points.column("kind").to_pylist())
    chinese = [name for name in ids(points) if any("\u4e00" <= character <= "\u9fff" for character in name)]
    assert (kinds == "keyphrase").sum() > 100
    assert len(chinese) > 100
    assert len(carried(item_interests)) == len(rows)


def test_an_empty_catalogue_table() -> None:
    points, item_interests = interests_of(ITEMS.empty())
    assert points.num_rows == item_interests.num_rows == 0
