"""Neighbours against literal geometry and a naive computation."""

import numpy as np
import pytest

from ml.errors import UnknownIdError
from ml.ids import Vocabulary
from ml.ranking.similar import similar_items, similar_users

NAMES = {"tag:a": "apples", "tag:b": "boats", "tag:c": "猫"}


def items_of(vectors: dict[str, list[float]], *, k: int = 2, block_size: int = 2):
    order = Vocabulary("item", list(vectors))
    matrix = np.array([vectors[item] for item in order.ids.to_pylist()], dtype=np.float32).reshape(len(order), -1)
    return similar_items(matrix, items=order, k=k, block_size=block_size, release_id="r")


def test_nearest_by_angle_without_itself_ties_by_id() -> None:
    table = items_of({"a": [1, 0], "b": [10, 1], "c": [0, 1], "d": [0, -3], "e": [2, 0]})
    assert [(row["item_id"], row["rank"], row["similar_item_id"]) for row in table.to_pylist()] == [
        ("a", 1, "e"),
        ("a", 2, "b"),
        ("b", 1, "a"),
        ("b", 2, "e"),
        ("c", 1, "b"),
        ("c", 2, "a"),
        ("d", 1, "a"),
        ("d", 2, "e"),
        ("e", 1, "a"),
        ("e", 2, "b"),
    ]
    assert table.column("score")[0].as_py() == pytest.approx(1.0)
    assert set(table.column("release_id").to_pylist()) == {"r"}


def test_a_zero_vector_has_no_neighbours_and_is_none() -> None:
    table = items_of({"a": [1, 0], "z": [0, 0], "b": [1, 1]}, k=5)
    assert [(row["item_id"], row["similar_item_id"]) for row in table.to_pylist()] == [("a", "b"), ("b", "a")]


def test_one_item_and_none() -> None:
    assert items_of({"a": [1, 0]}).num_rows == 0
    assert similar_items(np.zeros((0, 4), dtype=np.float32), items=Vocabulary("item", []), k=3, block_size=4, release_id="r").num_rows == 0


def test_vectors_must_fit_the_items() -> None:
    with pytest.raises(ValueError, match="2 vectors for 1 items"):
        similar_items(np.zeros((2, 4), dtype=np.float32), items=Vocabulary("item", ["a"]), k=3, block_size=4, release_id="r")


def test_scores_equal_a_naive_cosine_and_stay_within_one() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(40, 6)).astype(np.float32)
    vectors[1] = vectors[0] * 3
    order = Vocabulary("item", [f"{number:02}" for number in range(40)])
    table = similar_items(vectors, items=order, k=5, block_size=7, release_id="r")
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -9)
    for row in table.to_pylist():
        assert row["score"] == pytest.approx(np.sort(cosine[int(row["item_id"])])[-row["rank"]], abs=1e-5)
        assert -1.0 <= row["score"] <= 1.0


@pytest.fixture
def users_of(tables):
    def run(rows, *, k: int = 3, block_size: int = 2, names=NAMES, **options):
        found = similar_users(
            tables.user_interests(rows),
            interest_points=tables.interest_points(names),
            k=k,
            block_size=block_size,
            release_id="r",
            **options,
        )
        return [(row["user_id"], row["similar_user_id"], round(row["score"], 4), row["shared_interests"]) for row in found.to_pylist()]

    return run


def test_people_of_like_interests_with_what_both_like(users_of) -> None:
    rows = [
        ("u", "tag:a", 1.0),
        ("u", "tag:b", 1.0),
        ("v", "tag:b", 2.0),
        ("v", "tag:a", 1.0),
        ("w", "tag:c", 1.0),
        ("x", "tag:a", -1.0),
    ]
    assert users_of(rows) == [
        ("u", "v", round(3 / np.sqrt(2 * 5), 4), ["boats", "apples"]),
        ("v", "u", round(3 / np.sqrt(2 * 5), 4), ["boats", "apples"]),
    ]


def test_shared_dislikes_bring_people_together_but_are_no_shared_interest(users_of) -> None:
    rows = [("u", "tag:a", -1.0), ("u", "tag:c", 1.0), ("v", "tag:a", -1.0), ("v", "tag:c", 1.0), ("w", "tag:a", 1.0), ("w", "tag:c", 1.0)]
    assert [row for row in users_of(rows) if row[0] == "u"] == [("u", "v", 1.0, ["猫"])]
    assert users_of([("u", "tag:a", -1.0), ("v", "tag:a", -0.5)])[0] == ("u", "v", 1.0, [])


def test_only_the_strongest_shared_interests_are_named(users_of) -> None:
    rows = [(user, interest, weight) for user in "uv" for interest, weight in (("tag:a", 0.2), ("tag:b", 1.0), ("tag:c", 0.6))]
    assert users_of(rows, max_shared=2)[0][3] == ["boats", "猫"]
    assert users_of(rows, max_shared=0)[0][3] == []


def test_lonely_users_and_nobody(users_of) -> None:
    assert users_of([("u", "tag:a", 1.0)]) == []
    assert users_of([]) == []


def test_an_interest_without_a_point_is_an_error(users_of) -> None:
    with pytest.raises(UnknownIdError, match="tag:zzz"):
        users_of([("u", "tag:zzz", 1.0)])


def test_the_block_size_changes_nothing(users_of) -> None:
    rng = np.random.default_rng(2)
    rows = [(f"u{user:02}", interest, float(rng.normal())) for user in range(30) for interest in NAMES if rng.random() < 0.7]
    assert users_of(rows, block_size=4) == users_of(rows, block_size=100)
