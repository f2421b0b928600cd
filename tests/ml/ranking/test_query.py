"""Free-text answers with literal vectors."""

import json

import numpy as np
import pyarrow as pa
import pytest

from ml.errors import EmbeddingSpaceError
from ml.ids import Vocabulary
from ml.ranking.query import Preference, answer_query

VECTORS = {"boot": [1.0, 0.0], "lamp": [0.0, 1.0], "pole": [0.8, 0.6], "tent": [0.6, 0.8]}
POINTS = {"tag:hiking": "hiking", "tag:home": "home", "tag:sea": "sea"}
POINT_VECTORS = {"tag:hiking": [1.0, 0.1], "tag:home": [0.0, 1.0], "tag:sea": [-1.0, 0.0]}
ABOUT = [("boot", "tag:hiking", 1.0), ("pole", "tag:hiking", 0.6), ("pole", "tag:home", 0.8), ("lamp", "tag:home", 1.0)]


@pytest.fixture
def ask(tables):
    def run(vector, *, k=4, space="s", points=POINTS, vectors=VECTORS, **options):
        answer = answer_query(
            np.array(vector, dtype=np.float32),
            space_id=space,
            item_embeddings=tables.item_embeddings(vectors),
            interest_points=tables.interest_points(points, vectors=POINT_VECTORS),
            item_interests=tables.item_interests(ABOUT),
            k=k,
            **options,
        )
        assert json.loads(json.dumps(answer)) == answer
        return answer

    return run


def test_nearest_items_first_with_the_interest_that_matches(ask) -> None:
    answer = ask([2.0, 0.0])
    assert [row["item_id"] for row in answer] == ["boot", "pole", "tent", "lamp"]
    assert [row["rank"] for row in answer] == [1, 2, 3, 4]
    assert [row["score"] for row in answer] == pytest.approx([1.0, 0.8, 0.6, 0.0])
    assert answer[0]["matched_interests"] == ["hiking"]
    assert answer[0]["reason"] == "About hiking, which is close to what you asked for"
    assert answer[2]["reason"] == "Close in meaning to what you asked for"


def test_a_chinese_interest_is_told_in_chinese(ask) -> None:
    assert ask([1.0, 0.0], points={"tag:hiking": "徒步"})[0]["reason"] == "与徒步有关，接近你要找的内容"
    assert ask([1.0, 0.0], language="zh")[0]["reason"] == "与hiking有关，接近你要找的内容"


def test_a_users_taste_moves_the_ranking_by_its_share(ask) -> None:
    lamp_lover = Preference(Vocabulary("item", ["lamp", "boot", "gone"]), np.array([-50.0, 0.0, 100.0], dtype=np.float32), share=1.0)
    assert lamp_lover.items.ids.to_pylist() == ["boot", "gone", "lamp"]
    assert ask([1.0, 0.0], preference=lamp_lover, k=1)[0]["item_id"] == "lamp"
    unmoved = Preference(lamp_lover.items, lamp_lover.scores_I, share=0.0)
    assert [row["item_id"] for row in ask([1.0, 0.0], preference=unmoved)] == ["boot", "pole", "tent", "lamp"]
    with pytest.raises(ValueError, match="share"):
        ask([1.0, 0.0], preference=Preference(lamp_lover.items, lamp_lover.scores_I, share=1.5))


def test_a_preference_of_equal_scores_says_nothing(ask) -> None:
    flat = Preference(Vocabulary("item", list(VECTORS)), np.ones(4, dtype=np.float32), share=0.5)
    assert [row["item_id"] for row in ask([1.0, 0.0], preference=flat)] == ["boot", "pole", "tent", "lamp"]


def test_excluded_items_and_k_beyond_the_catalogue(ask) -> None:
    answer = ask([1.0, 0.0], k=99, excluded=pa.array(["boot", "unknown"]))
    assert [row["item_id"] for row in answer] == ["pole", "tent", "lamp"]


def test_another_space_is_refused(ask) -> None:
    with pytest.raises(EmbeddingSpaceError):
        ask([1.0, 0.0], space="t")


def test_an_empty_catalogue_and_no_interests(ask) -> None:
    assert ask([1.0, 0.0], vectors={}) == []
    assert ask([1.0, 0.0], points={})[0]["reason"] == "Close in meaning to what you asked for"


def test_equal_items_come_by_id(ask) -> None:
    assert [row["item_id"] for row in ask([1.0, 0.0], vectors={"b": [1.0, 0.0], "a": [1.0, 0.0]})] == ["a", "b"]


def test_words_that_name_an_interest_decide_where_meaning_hardly_does(ask) -> None:
    # To an encoder that does not read the language, all items are about equally near.
    names = {"tag:hiking": "徒步", "tag:home": "家居"}
    assert ask([0.6, 0.8], points=names)[0]["item_id"] == "tent"
    answer = ask([0.6, 0.8], points=names, text="家居用品")
    assert answer[0]["item_id"] == "pole"
    assert answer[0]["similarity"] == pytest.approx(0.96)
    assert answer[0]["score"] == pytest.approx(0.96 + 0.3 * 0.8)
    assert answer[0]["matched_interests"] == ["家居"]
    assert answer[0]["reason"] == "与家居有关，接近你要找的内容"


def test_a_named_interest_does_not_drown_the_meaning_of_the_other_words(ask) -> None:
    assert ask([0.0, 1.0], text="home for a hiking friend")[0]["item_id"] == "lamp"
