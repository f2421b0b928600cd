"""The ladder and the recommendations table."""

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from ml.contracts.outputs import RECOMMENDATIONS
from ml.errors import EmbeddingSpaceError
from ml.ids import Vocabulary
from ml.ranking.explain import Explainer, path_exists
from ml.ranking.recommend import rank_for_users, recommend
from ml.ranking.rungs import interest_rung, personal_rung, popular_rung

ITEMS = Vocabulary("item", ["boot", "lamp", "pole", "tent"])
VECTORS = {"boot": [1.0, 0.0], "lamp": [0.0, 1.0], "pole": [0.8, 0.6], "tent": [0.6, 0.8]}
ABOUT = [("boot", "tag:hiking", 1.0), ("tent", "tag:camping", 0.8), ("tent", "tag:hiking", 0.6), ("lamp", "tag:home", 1.0)]


def personal(scores: dict[str, list[float]], *, positives: list[str] | None = None) -> object:
    users = Vocabulary("user", list(scores))
    matrix = np.array([scores[user] for user in users.ids.to_pylist()], dtype=np.float32)
    has = np.array([[1.0 if positives is None or user in positives else 0.0, 0, 0, 0] for user in users.ids.to_pylist()])
    return personal_rung(lambda rows: matrix[rows], users=users, items=ITEMS, num_likes_U=has.sum(axis=1).astype(np.int64))


@pytest.fixture
def by_interest(tables):
    def make(*, interests=(), words=None):
        return interest_rung(
            item_embeddings=tables.item_embeddings(VECTORS),
            user_text_embeddings=tables.user_text_embeddings(words or {}),
            item_interests=tables.item_interests(ABOUT),
            user_interests=tables.user_interests(interests),
        )

    return make


def everybody(*ids: str):
    return popular_rung(Vocabulary("user", ids), items=ITEMS, popularity_I=np.array([1.0, 4.0, 3.0, 2.0], dtype=np.float32))


def lists(table: pa.Table) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in table.to_pylist():
        found.setdefault(row["user_id"], []).append(row["item_id"])
        assert row["rank"] == len(found[row["user_id"]])
    return found


def rank(*rungs, users: list[str], seen: pa.Table, k: int = 4, **options) -> pa.Table:
    return rank_for_users(Vocabulary("user", users), rungs=rungs, seen=seen, k=k, block_size=2, **options)


def test_best_first_and_nothing_met_before(tables) -> None:
    table = rank(
        personal({"u": [1, 2, 3, 4], "v": [4, 3, 2, 1]}), users=["u", "v"], seen=tables.pairs(("u", "tent"), ("v", "lamp"), ("v", "lamp"))
    )
    assert lists(table) == {"u": ["pole", "lamp", "boot"], "v": ["boot", "pole", "tent"]}
    assert set(table.column("rung").to_pylist()) == {"personal"}


def test_each_user_gets_the_first_rung_that_can_answer(tables, by_interest) -> None:
    table = rank(
        personal({"liker": [0, 0, 9, 0], "viewer": [9, 9, 9, 9]}, positives=["liker"]),
        by_interest(interests=[("viewer", "tag:camping", 1.0), ("hater", "tag:home", -1.0)], words={"writer": [0.0, 1.0]}),
        everybody("liker", "viewer", "writer", "hater", "stranger"),
        users=["liker", "viewer", "writer", "hater", "stranger"],
        seen=tables.pairs(),
        k=1,
    )
    assert {row["user_id"]: (row["rung"], row["item_id"]) for row in table.to_pylist()} == {
        "liker": ("personal", "pole"),
        "viewer": ("interest", "tent"),
        "writer": ("interest", "lamp"),
        "hater": ("popular", "lamp"),
        "stranger": ("popular", "lamp"),
    }


def test_met_256_times_is_still_met(tables) -> None:
    table = rank(personal({"u": [4, 3, 2, 1]}), users=["u"], seen=tables.pairs(*[("u", "boot")] * 256), k=1)
    assert lists(table) == {"u": ["lamp"]}


def test_items_met_are_out_on_every_rung(tables, by_interest) -> None:
    rungs = by_interest(words={"writer": [0.0, 1.0]}), everybody("writer", "stranger")
    table = rank(*rungs, users=["writer", "stranger"], seen=tables.pairs(("writer", "lamp"), ("stranger", "lamp"), ("ghost", "boot")), k=9)
    assert lists(table) == {"stranger": ["pole", "tent", "boot"], "writer": ["tent", "pole", "boot"]}


def test_who_has_met_everything_gets_no_rows(tables) -> None:
    seen = tables.pairs(*(("u", item) for item in VECTORS))
    assert rank(everybody("u", "v"), users=["u", "v"], seen=seen).column("user_id").to_pylist() == ["v"] * 4


def test_interest_scores_are_the_mean_of_the_signals_a_user_has(by_interest) -> None:
    rung = by_interest(
        interests=[("both", "tag:hiking", 0.6), ("both", "tag:home", -0.8), ("weights", "tag:hiking", 0.5)],
        words={"both": [0.0, 2.0], "words": [1.0, 0.0]},
    )
    scores = {user: rung.score(rung.users.positions([user]))[0] for user in ("both", "weights", "words")}
    assert_allclose(scores["weights"], [1.0, 0.0, 0.0, 0.6], atol=1e-6)
    assert_allclose(scores["words"], [1.0, 0.0, 0.8, 0.6], atol=1e-6)
    assert_allclose(scores["both"], [0.3, (1 - 0.8) / 2, 0.3, (0.36 + 0.8) / 2], atol=1e-6)


@pytest.mark.parametrize(("interests", "words"), [([("u", "tag:home", 1.0)], {}), ([], {"u": [0.0, 1.0]})])
def test_a_dataset_without_own_words_or_without_interests(tables, by_interest, interests, words) -> None:
    assert lists(rank(by_interest(interests=interests, words=words), users=["u"], seen=tables.pairs(), k=1)) == {"u": ["lamp"]}


def test_words_and_items_of_two_spaces_never_meet(tables) -> None:
    with pytest.raises(EmbeddingSpaceError, match="s and t"):
        interest_rung(
            item_embeddings=tables.item_embeddings(VECTORS, space="s"),
            user_text_embeddings=tables.user_text_embeddings({"u": [1.0, 0.0]}, space="t"),
            item_interests=tables.item_interests([]),
            user_interests=tables.user_interests([]),
        )


def test_no_items_no_users_no_interests(tables) -> None:
    rung = interest_rung(
        item_embeddings=tables.item_embeddings({}),
        user_text_embeddings=tables.user_text_embeddings({}),
        item_interests=tables.item_interests([]),
        user_interests=tables.user_interests([]),
    )
    assert rank(rung, users=["u"], seen=tables.pairs()).num_rows == 0
    assert rank(everybody("u"), users=[], seen=tables.pairs()).num_rows == 0


def test_shapes_that_do_not_fit_are_refused() -> None:
    users = Vocabulary("user", ["u"])
    with pytest.raises(ValueError, match="popularity_I"):
        popular_rung(users, items=ITEMS, popularity_I=np.zeros(3, dtype=np.float32))
    with pytest.raises(ValueError, match="num_likes_U"):
        personal_rung(lambda rows: np.zeros((1, 4)), users=users, items=ITEMS, num_likes_U=np.zeros(3, dtype=np.int64))


def test_progress_counts_all_users_once(tables) -> None:
    calls: list[tuple[int, int]] = []
    rank(
        personal({"a": [1, 2, 3, 4], "b": [1, 2, 3, 4], "c": [1, 2, 3, 4]}),
        everybody("a", "b", "c", "d", "e"),
        users=["a", "b", "c", "d", "e"],
        seen=tables.pairs(),
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(2, 5), (3, 5), (5, 5)]


def test_the_table_keeps_its_contract_and_every_path_exists(tables, make_graph, make_names, by_interest) -> None:
    edges = [
        ("user:u", "interacted", "item:boot"),
        ("user:u", "has_interest", "interest:tag:hiking"),
        *((f"item:{item}", "about", f"interest:{interest}", weight) for item, interest, weight in ABOUT),
    ]
    graph = make_graph(edges, nodes=["item:pole", "user:v"])
    names = make_names(item={"boot": "Boot"}, interest={"tag:hiking": "hiking"})
    table = recommend(
        Vocabulary("user", ["v", "u"]),
        rungs=[personal({"u": [1, 2, 3, 4]}), everybody("u", "v")],
        seen=tables.pairs(("u", "boot")),
        explainer=Explainer(graph, names=names, language="en"),
        release_id="r1",
        k=2,
        block_size=10,
    )
    assert table.schema.equals(RECOMMENDATIONS.schema)
    assert [(row["user_id"], row["rank"], row["item_id"], row["rung"], row["release_id"]) for row in table.to_pylist()] == [
        ("u", 1, "tent", "personal", "r1"),
        ("u", 2, "pole", "personal", "r1"),
        ("v", 1, "lamp", "popular", "r1"),
        ("v", 2, "pole", "popular", "r1"),
    ]
    assert table.column("reason")[0].as_py() == "Because you like hiking, and this item is about hiking"
    assert path_exists(graph, table.column("path")[0].as_py())
