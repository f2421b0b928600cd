"""Names that mean one thing are one point; names that people keep apart stay two."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from ml.config.pipeline import InterestConfig
from ml.ids import FloatArray
from ml.interests.points import find_interests
from tests.ml.interests.catalogues import embed, make_items

CONFIG = InterestConfig(max_item_share=1.0, min_theme_catalogue=10_000)
# Made-up vectors of names: translations lie together, everything else far apart.
MEANINGS = ({"vampire", "吸血鬼", "vampyre"}, {"comedy", "喜剧"}, {"horror", "thriller"})


def name_vectors(names: Sequence[str]) -> FloatArray:
    vectors = np.zeros((len(names), 64), dtype=np.float32)
    for row, name in enumerate(names):
        meaning = next((place for place, same in enumerate(MEANINGS) if name in same), 3 + sum(map(ord, name)) % 60)
        vectors[row, meaning] = 1.0
    return vectors


def found(rows: Sequence[Mapping[str, object]], vectors_ID: np.ndarray, *, named: bool = True) -> dict[str, tuple[int, list[str]]]:
    items = make_items(rows)
    points, _ = find_interests(
        items,
        item_embeddings=embed(items, vectors_ID=vectors_ID),
        config=CONFIG,
        language="auto",
        name_vectors=name_vectors if named else None,
    )
    columns = (points.column(name).to_pylist() for name in ("interest_id", "num_items", "aliases"))
    return {interest: (num_items, aliases) for interest, num_items, aliases in zip(*columns, strict=True)}


def two_languages(left: str, right: str, *, as_tags: bool, direction: Sequence[int] = (0, 0)) -> tuple[list[dict[str, object]], np.ndarray]:
    """Eight items that say one name, five that say the other, five that say neither."""
    said = [left] * 8 + [right] * 5 + [f"else{row}" for row in range(5)]
    rows = [{"item_id": f"{row:02d}", "title": "" if as_tags else name, "tags": [name] if as_tags else []} for row, name in enumerate(said)]
    axes = np.eye(4)
    vectors = np.concatenate([np.tile(axes[direction[0]], (8, 1)), np.tile(axes[direction[1]], (5, 1)), np.tile(axes[3], (5, 1))])
    return rows, vectors


def test_translations_found_in_texts_merge_under_the_more_frequent_name() -> None:
    points = found(*two_languages("vampire", "吸血鬼", as_tags=False))
    assert points["keyphrase:vampire"] == (13, ["吸血鬼"])
    assert "keyphrase:吸血鬼" not in points


def test_like_names_of_items_that_are_unlike_stay_apart() -> None:
    assert {"keyphrase:vampire", "keyphrase:吸血鬼"} <= set(found(*two_languages("vampire", "吸血鬼", as_tags=False, direction=(0, 1))))


def test_given_tags_that_items_carry_apart_never_merge() -> None:
    points = found(*two_languages("horror", "thriller", as_tags=True))
    assert points["tag:horror"] == (8, [])
    assert points["tag:thriller"] == (5, [])


def test_names_on_the_same_items_merge_without_name_vectors() -> None:
    rows = [{"item_id": f"{row:02d}", "title": "", "tags": ["sci-fi", "scifi"] if row < 6 else ["other"]} for row in range(12)]
    points = found(rows, np.eye(12), named=False)
    assert points["tag:sci-fi"] == (6, ["scifi"])
    assert "tag:scifi" not in points


def test_a_given_name_stays_before_a_found_one() -> None:
    rows, vectors = two_languages("vampire", "吸血鬼", as_tags=False)
    for row in rows[8:13]:
        row |= {"title": "", "tags": ["吸血鬼"]}
    assert found(rows, vectors)["tag:吸血鬼"] == (13, ["vampire"])


def test_a_level_and_the_one_level_below_it_stay_two() -> None:
    rows = [{"item_id": f"{row:02d}", "title": "", "category": "Clothing > Hats" if row < 6 else "Food"} for row in range(12)]
    assert {"category:clothing", "category:hats"} <= set(found(rows, np.eye(12), named=False))


def test_three_names_become_one() -> None:
    said = ["vampire"] * 6 + ["吸血鬼"] * 5 + ["vampyre"] * 4
    rows = [{"item_id": f"{row:02d}", "title": name} for row, name in enumerate(said)]
    points = found(rows, np.ones((15, 4)))
    assert points["keyphrase:vampire"][0] == 15
    assert set(points["keyphrase:vampire"][1]) == {"吸血鬼", "vampyre"}
    assert pa.array(points["keyphrase:vampire"][1]).null_count == 0
