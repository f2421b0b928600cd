"""Themes: every item with a text has one, they are named by their own words, and they stay while the catalogue grows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from ml.config.pipeline import InterestConfig
from ml.contracts.meaning import INTEREST_POINTS
from ml.interests.growth import boundaries
from ml.interests.points import find_interests
from tests.ml.interests.catalogues import embed, make_items, shuffled

WORDS = {
    0: ["vampire", "castle", "blood", "coffin"],
    1: ["football", "league", "goal", "referee"],
    2: ["spaceship", "alien", "galaxy", "orbit"],
    3: ["吸血鬼", "登山鞋", "咖啡机", "机器人"],
}
START = datetime(2026, 1, 1, tzinfo=UTC)
ONLY_THEMES = InterestConfig(tag_weight=0.0, category_weight=0.0, keyphrase_weight=0.0, items_per_theme=10, min_theme_catalogue=160)


def catalogue(num_items: int, *, seed: int = 0, dated: bool = True) -> tuple[pa.Table, np.ndarray]:
    """Items of four groups, each with words and a direction of its own, within each two kinds; one appears an hour."""
    rng = np.random.default_rng(seed)
    group_I, kind_I = rng.integers(0, 4, num_items), rng.integers(0, 2, num_items)
    rows = [
        {
            "item_id": f"{row:04d}",
            "title": f"{WORDS[group][2 * kind]} | {WORDS[group][2 * kind + 1]} | {WORDS[group][int(rng.integers(4))]} | thing",
            "created_at": START + timedelta(hours=row) if dated else None,
        }
        for row, (group, kind) in enumerate(zip(group_I, kind_I, strict=True))
    ]
    axes = np.eye(16)
    vectors = axes[group_I] + 0.4 * axes[4 + 2 * group_I + kind_I] + 0.05 * rng.normal(size=(num_items, 16))
    return make_items(rows), vectors


def themes_of(items: pa.Table, vectors_ID: np.ndarray, *, config: InterestConfig = ONLY_THEMES) -> tuple[pa.Table, pa.Table]:
    return find_interests(items, item_embeddings=embed(items, vectors_ID=vectors_ID), config=config, language="auto")


def test_every_item_with_a_text_has_a_theme_and_others_none() -> None:
    items, vectors_ID = catalogue(200)
    mute = make_items([{"item_id": "zzzz", "title": "", "created_at": START}])
    points, found = themes_of(pa.concat_tables([items, mute]), np.concatenate([vectors_ID, vectors_ID[:1]]))
    assert set(points.column("kind").to_pylist()) == {"theme"}
    assert set(found.column("item_id").to_pylist()) == set(items.column("item_id").to_pylist())


def test_themes_are_named_by_their_own_words() -> None:
    points, found = themes_of(*catalogue(400))
    items_of: dict[str, set[str]] = {}
    for row in found.to_pylist():
        items_of.setdefault(row["interest_id"], set()).add(row["item_id"])
    titles = dict(zip(*(catalogue(400)[0].column(name).to_pylist() for name in ("item_id", "title")), strict=True))
    for point in points.to_pylist():
        phrases = point["name"].split(" / ")
        holding = [any(phrase in titles[item] for phrase in phrases) for item in items_of[point["interest_id"]]]
        assert np.mean(holding) > 0.8, point["name"]
        assert "thing" not in phrases
    names = " ".join(points.column("name").to_pylist())
    assert "vampire" in names
    assert "登山鞋" in names or "吸血鬼" in names


def test_names_and_ids_are_unique_and_parents_are_there() -> None:
    points, _ = themes_of(*catalogue(400))
    ids = points.column("interest_id").to_pylist()
    assert len(set(points.column("name").to_pylist())) == len(ids)
    parents = [parent for parent in points.column("parent_id").to_pylist() if parent is not None]
    assert parents
    assert set(parents) <= set(ids)
    assert len(set(parents)) < len(ids)
    assert points.schema.equals(INTEREST_POINTS.schema)


@pytest.mark.parametrize(("new", "share"), [(1, 1.0), (5, 1.0), (40, 1.0), (150, 0.6)])
def test_themes_keep_id_name_and_parent_when_the_catalogue_grows(new: int, share: float) -> None:
    items, vectors_ID = catalogue(400)
    known = 400 - new
    before, _ = themes_of(items.slice(0, known), vectors_ID[:known])
    after, _ = themes_of(items, vectors_ID)
    columns = ["interest_id", "name", "parent_id"]
    kept = {tuple(row.values()) for row in before.select(columns).to_pylist()} & {
        tuple(row.values()) for row in after.select(columns).to_pylist()
    }
    assert len(kept) >= share * before.num_rows


def test_items_after_the_last_boundary_change_no_other_items_theme() -> None:
    items, vectors_ID = catalogue(200)
    assert boundaries(np.arange(200), first=160, growth=1.5)[-1] == 160
    _, before = themes_of(items.slice(0, 165), vectors_ID[:165])
    _, after = themes_of(items.slice(0, 190), vectors_ID[:190])
    pairs = [set(zip(*(found.column(name).to_pylist() for name in ("item_id", "interest_id")), strict=True)) for found in (before, after)]
    assert pairs[0] <= pairs[1]


def test_boundaries_are_where_the_catalogue_had_grown_by_the_factor() -> None:
    assert boundaries(np.arange(100), first=10, growth=2.0) == [10, 20, 40, 80]
    assert boundaries(np.arange(9), first=10, growth=2.0) == []
    assert boundaries(np.zeros(100, dtype=np.int64), first=10, growth=2.0) == [100]
    assert boundaries(np.array([0] * 7 + [1] * 30 + [2] * 3), first=5, growth=2.0) == [7, 37]
    assert boundaries(np.zeros(0, dtype=np.int64), first=1, growth=2.0) == []


def test_row_order_does_not_matter() -> None:
    items, vectors_ID = catalogue(200)
    embeddings = embed(items, vectors_ID=vectors_ID)
    expected = find_interests(items, item_embeddings=embeddings, config=ONLY_THEMES, language="auto")
    again = find_interests(shuffled(items, seed=1), item_embeddings=shuffled(embeddings, seed=2), config=ONLY_THEMES, language="auto")
    assert again[0].equals(expected[0])
    assert again[1].equals(expected[1])


def test_a_tiny_catalogue_has_none() -> None:
    points, found = themes_of(*catalogue(159))
    assert points.num_rows == found.num_rows == 0
    points, _ = themes_of(*catalogue(300), config=InterestConfig(theme_weight=0.0))
    assert "theme" not in points.column("kind").to_pylist()


def test_items_always_known_are_one_boundary() -> None:
    items, vectors_ID = catalogue(300, dated=False)
    points, found = themes_of(items, vectors_ID)
    assert points.num_rows > 4
    assert len(set(found.column("item_id").to_pylist())) == 300


def test_markup_gives_no_phrases() -> None:
    items = make_items([{"item_id": f"{row}", "title": "", "text": "<div>wool<br/>scarf</div>&nbsp;<p class='x'>warm"} for row in range(4)])
    points, _ = find_interests(items, item_embeddings=embed(items), config=InterestConfig(max_item_share=1.0), language="en")
    words = {word for name in points.column("name").to_pylist() for word in name.split()}
    assert {"wool", "scarf", "warm"} <= words
    assert not words & {"br", "div", "nbsp", "class", "p"}


def test_category_levels_know_the_level_above() -> None:
    rows = [{"item_id": f"{row}", "title": "", "category": "Clothing > Hats" if row < 3 else "Clothing > Shoes"} for row in range(6)]
    items = make_items([*rows, *({"item_id": f"x{row}", "title": ""} for row in range(9))])
    points, _ = find_interests(items, item_embeddings=embed(items), config=InterestConfig(), language="en")
    parents = dict(zip(points.column("interest_id").to_pylist(), points.column("parent_id").to_pylist(), strict=True))
    assert parents == {"category:clothing": None, "category:hats": "category:clothing", "category:shoes": "category:clothing"}
