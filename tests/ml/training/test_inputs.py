"""Model inputs: what was known, by hand; and nothing of what came after."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.config.pipeline import GraphConfig, InterestConfig, ReviewConfig
from ml.contracts.behaviour import ITEMS
from ml.contracts.meaning import ITEM_EMBEDDINGS, ITEM_INTERESTS, KNOWLEDGE_GRAPH, TEXT_INTERESTS
from ml.contracts.vectors import matrix_to_vectors
from ml.errors import ContractError, EmbeddingSpaceError, UnknownIdError
from ml.graph.interest_graph import EdgeType
from ml.models.inputs import ModelInputs
from ml.models.popularity import Popularity
from ml.training.inputs import build_inputs
from tests.ml.evaluation.interaction_rows import at, interactions

AS_OF = at(20)
GRAPH = GraphConfig(half_life_days=10.0, min_edge_weight=0.0)
CATALOGUE = ("apple", "bread", "茶", "unmet")
Rows = list[tuple[str, str, float, float]]
Texts = Sequence[tuple[str, str | None, str, float, float]]

HISTORY: Rows = [
    ("ann", "apple", 2.0, 0.0),
    ("ann", "茶", -1.0, 10.0),
    ("bob", "apple", 1.0, 10.0),
    ("bob", "bread", -2.0, 5.0),
    ("bob", "bread", 3.0, 15.0),
    ("王", "茶", 1.0, 18.9),
    ("王", "茶", -3.0, 19.9),
]


def items_table(item_ids: tuple[str, ...], *, uncatalogued: tuple[str, ...] = (), known_at: dict[str, datetime] | None = None) -> pa.Table:
    num_items = len(item_ids)
    return ITEMS.conform(
        pa.table(
            {
                "day": pa.array([at(20).date()] * num_items, pa.date32()),
                "item_id": pa.array(item_ids, pa.string()),
                "title": pa.array(item_ids, pa.string()),
                "text": pa.nulls(num_items, pa.string()),
                "text_known_at": pa.array([(known_at or {}).get(item_id) for item_id in item_ids], pa.timestamp("us", tz="UTC")),
                "category": pa.nulls(num_items, pa.string()),
                "tags": pa.array([[]] * num_items, pa.list_(pa.string())),
                "attributes": pa.nulls(num_items, pa.string()),
                "created_at": pa.nulls(num_items, pa.timestamp("us", tz="UTC")),
                "is_catalogued": pa.array([item_id not in uncatalogued for item_id in item_ids], pa.bool_()),
            }
        )
    )


def embeddings_table(item_ids: tuple[str, ...], *, space_ids: list[str] | None = None) -> pa.Table:
    num_items = len(item_ids)
    return ITEM_EMBEDDINGS.conform(
        pa.table(
            {
                "item_id": pa.array(item_ids, pa.string()),
                "text_hash": pa.array(["hash"] * num_items, pa.string()),
                "space_id": pa.array(space_ids or ["space"] * num_items, pa.string()),
                "vector": matrix_to_vectors(np.arange(3.0 * num_items).reshape(num_items, 3)),
            }
        )
    )


def item_interests_table(item_ids: tuple[str, ...]) -> pa.Table:
    return ITEM_INTERESTS.conform(
        pa.table(
            {
                "item_id": pa.array(item_ids, pa.string()),
                "interest_id": pa.array([f"tag:{position % 2}" for position in range(len(item_ids))], pa.string()),
                "weight": pa.array([1.0] * len(item_ids), pa.float64()),
            }
        )
    )


def text_interests_table(rows: Texts) -> pa.Table:
    """(user, item or None, interest, weight, day)."""
    columns = {
        "event_id": [f"e{number}" for number in range(len(rows))],
        "user_id": [row[0] for row in rows],
        "item_id": [row[1] for row in rows],
        "event_at": [at(row[4]) for row in rows],
        "interest_id": [row[2] for row in rows],
        "weight": [row[3] for row in rows],
    }
    return pa.table(columns, schema=TEXT_INTERESTS.schema)


def inputs_of(
    rows: Rows,
    *,
    as_of: datetime = AS_OF,
    item_ids: tuple[str, ...] = CATALOGUE,
    embeddings: pa.Table | None = None,
    uncatalogued: tuple[str, ...] = (),
    known_at: dict[str, datetime] | None = None,
    texts: Texts = (),
    reviews: ReviewConfig | None = None,
) -> ModelInputs:
    return build_inputs(
        interactions(rows),
        items=items_table(item_ids, uncatalogued=uncatalogued, known_at=known_at),
        item_embeddings=embeddings_table(item_ids) if embeddings is None else embeddings,
        item_interests=item_interests_table(item_ids),
        text_interests=text_interests_table(texts),
        knowledge_graph=KNOWLEDGE_GRAPH.empty(),
        interests=InterestConfig(half_life_days=10.0),
        graph=GRAPH,
        as_of=as_of,
        reviews=reviews,
    )


def bytes_of(inputs: ModelInputs) -> list[tuple[str, bytes]]:
    """Every array and id of the inputs, by name."""
    arrays: dict[str, np.ndarray | list[str]] = {"text": inputs.text_ID}
    for name, matrix in (("positives", inputs.positives_UI), ("seen", inputs.seen_UI)):
        arrays |= {f"{name} data": matrix.data, f"{name} indices": matrix.indices, f"{name} indptr": matrix.indptr}
    for edge_type, edges in inputs.graph.edges.items():
        arrays |= {
            f"{edge_type} source": edges.source_index,
            f"{edge_type} target": edges.target_index,
            f"{edge_type} weight": edges.weight,
        }
    for kind, vocabulary in {"users": inputs.users, "items": inputs.items, **inputs.graph.vocabularies}.items():
        arrays[f"{kind} ids"] = vocabulary.ids.to_pylist()
    return [(name, array.tobytes() if isinstance(array, np.ndarray) else "\0".join(array).encode()) for name, array in arrays.items()]


def test_likes_and_meetings_by_hand() -> None:
    inputs = inputs_of(HISTORY)
    assert inputs.users.ids.to_pylist() == ["ann", "bob", "王"]
    assert inputs.items.ids.to_pylist() == ["apple", "bread", "unmet", "茶"]
    # Half lives of 10 days up to day 20. Bob's bread: 3 - 2 x 0.5 = 2 on day 15, faded by half a half-life.
    expected = np.zeros((3, 4))
    expected[0, 0] = np.log1p(2.0) / 4
    expected[1, 0] = np.log1p(1.0) / 2
    expected[1, 1] = np.log1p(2.0) / np.sqrt(2)
    np.testing.assert_allclose(inputs.positives_UI.toarray(), expected, rtol=1e-6)
    np.testing.assert_array_equal(inputs.seen_UI.toarray(), [[1, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 1]])
    assert inputs.positives_UI.nnz == 3
    assert inputs.positives_UI.dtype == inputs.seen_UI.dtype == inputs.text_ID.dtype == np.float32


def test_texts_follow_the_vocabulary() -> None:
    inputs = inputs_of(HISTORY, embeddings=embeddings_table((*CATALOGUE, "gone")))
    np.testing.assert_array_equal(inputs.text_ID, [[0, 1, 2], [3, 4, 5], [9, 10, 11], [6, 7, 8]])


def test_the_graph_shares_the_vocabularies() -> None:
    inputs = inputs_of(HISTORY)
    assert inputs.graph.vocabularies["user"] == inputs.users
    assert inputs.graph.vocabularies["item"] == inputs.items
    liked_UI = inputs.graph.adjacency(EdgeType("user", "interacted", "item")).toarray() > 0
    np.testing.assert_array_equal(liked_UI, inputs.positives_UI.toarray() > 0)


def test_a_like_stays_a_like_however_old() -> None:
    inputs = inputs_of([("ann", "apple", 1.0, -36_500.0), ("ann", "bread", -1.0, -36_500.0), ("bob", "bread", 1.0, 19.0)])
    assert (inputs.positives_UI.toarray() > 0).tolist() == [[True, False, False, False], [False, True, False, False]]
    assert np.isfinite(inputs.positives_UI.data).all()


def test_what_two_liked_long_ago_is_less_popular_than_what_one_likes_now() -> None:
    rows = [("ann", "apple", 1.0, 0.0), ("bob", "apple", 1.0, 0.0), ("王", "bread", 1.0, 19.5)]
    model = Popularity().fit(inputs_of(rows), rng=np.random.default_rng(0))
    # Two likes of two half-lives' age are half a like of now; bread's has faded by half a day.
    old, new = model.item_scores[:2]
    assert old / new == pytest.approx(0.5 / 0.5 ** (0.5 / 10.0), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ann", "bob", "王", "newcomer"]),
            st.sampled_from([*CATALOGUE, "item of tomorrow"]),
            st.floats(-5, 5),
            st.one_of(st.just(20.0), st.floats(20.0, 400.0)),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda row: (row[0], row[1], int(row[3])),
    ),
    st.randoms(use_true_random=False),
)
def test_events_at_or_after_the_cut_change_not_a_byte(future: Rows, shuffle) -> None:
    planted = [*HISTORY[:-1], *future]
    shuffle.shuffle(planted)
    assert bytes_of(inputs_of(planted)) == bytes_of(inputs_of(HISTORY[:-1]))


def test_an_event_before_the_cut_does_change_them() -> None:
    """The guard of the test above: its eye is sharp enough to see one event."""
    assert bytes_of(inputs_of([*HISTORY, ("ann", "bread", 1.0, 19.999)])) != bytes_of(inputs_of(HISTORY))


WRITTEN: Texts = [("ann", None, "tag:1", 1.0, 12.0), ("bob", "bread", "tag:0", -0.5, 19.9)]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ann", "bob", "王", "newcomer"]),
            st.sampled_from([None, "apple", "item of tomorrow"]),
            st.sampled_from(["tag:0", "tag:1", "tag of tomorrow"]),
            st.floats(-1, 1),
            st.one_of(st.just(20.0), st.floats(20.0, 400.0)),
        ),
        min_size=1,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_texts_at_or_after_the_cut_change_not_a_byte(future: Texts, shuffle) -> None:
    planted = [*WRITTEN, *future]
    shuffle.shuffle(planted)
    for reviews in (None, ReviewConfig()):
        known = inputs_of(HISTORY, texts=WRITTEN, reviews=reviews)
        assert bytes_of(inputs_of(HISTORY, texts=planted, reviews=reviews)) == bytes_of(known)


def test_a_text_before_the_cut_is_an_interest_of_who_is_known() -> None:
    has_interest = EdgeType("user", "has_interest", "interest")
    silent = inputs_of(HISTORY)
    said = inputs_of(HISTORY, texts=[*WRITTEN, ("searcher", None, "tag:0", 1.0, 12.0)])
    ann, wanted = said.users.positions(["ann"])[0], said.graph.vocabularies["interest"].positions(["tag:1"])[0]
    assert silent.graph.adjacency(has_interest)[[ann], [wanted]].sum() == 0
    assert said.graph.adjacency(has_interest)[[ann], [wanted]].sum() > 0
    # Who only searched has nothing to be trained or tested on.
    assert said.users == silent.users


def test_texts_of_who_is_not_believed_count_as_little_as_what_they_did() -> None:
    """Believed more than the rest, their words alone would be their profile."""
    texts: Texts = [("ring1", None, "tag:x", 1.0, 16.0)]
    inputs = inputs_of(crowd_with_a_ring(until=20), texts=texts, reviews=ReviewConfig())
    ring, wanted = inputs.users.positions(["ring1"])[0], inputs.graph.vocabularies["interest"].positions(["tag:x"])[0]
    assert inputs.credibility_U[ring] < 0.5
    assert 0.0 < inputs.graph.adjacency(EdgeType("user", "has_interest", "interest"))[[ring], [wanted]].sum() < 0.5


def test_a_day_that_reaches_over_the_cut_is_not_known() -> None:
    assert inputs_of(HISTORY, as_of=at(15.0)).positives_UI[1].toarray().ravel().tolist()[1] == 0.0


def test_words_written_later_about_an_uncatalogued_item_are_not_known() -> None:
    """Such an item has no text but its users' words; before its first event there are none."""
    rows: Rows = [*HISTORY, ("ann", "bread", 1.0, 30.0), ("bob", "unmet", 1.0, 30.0)]
    about = EdgeType("item", "about", "interest")
    inputs = inputs_of(rows, uncatalogued=("unmet", "bread"))
    unmet = inputs.items.positions(["unmet"])[0]
    assert not inputs.text_ID[unmet].any()
    assert inputs.graph.adjacency(about)[[unmet]].nnz == 0
    # Met before the cut, it keeps what was written then; in a catalogue, it was known all along.
    bread = inputs.items.positions(["bread"])[0]
    assert inputs.text_ID[bread].any()
    assert inputs.graph.adjacency(about)[[bread]].nnz == 1
    catalogued = inputs_of(rows)
    assert catalogued.text_ID[unmet].any()
    assert catalogued.graph.adjacency(about)[[unmet]].nnz == 1


def test_words_borrowed_from_later_reviews_are_not_known_even_of_an_item_already_met() -> None:
    about = EdgeType("item", "about", "interest")
    inputs = inputs_of(HISTORY, known_at={"apple": AS_OF, "bread": at(19.9)})
    apple, bread = inputs.items.positions(["apple", "bread"])
    assert not inputs.text_ID[apple].any()
    assert inputs.graph.adjacency(about)[[apple]].nnz == 0
    assert inputs.text_ID[bread].any()
    assert inputs.graph.adjacency(about)[[bread]].nnz == 1


@pytest.mark.parametrize("rows", [[], [("ann", "apple", 1.0, 25.0)]], ids=["no history", "no history before the cut"])
def test_no_history_gives_items_without_users(rows: Rows) -> None:
    inputs = inputs_of(rows)
    assert (len(inputs.users), len(inputs.items)) == (0, 4)
    assert inputs.positives_UI.shape == inputs.seen_UI.shape == (0, 4)


def test_no_items_at_all() -> None:
    inputs = inputs_of([], item_ids=())
    assert inputs.positives_UI.shape == (0, 0)
    assert len(inputs.text_ID) == 0


def test_an_item_outside_the_catalogue_is_named() -> None:
    with pytest.raises(UnknownIdError, match="'cake'"):
        inputs_of([*HISTORY, ("ann", "cake", 1.0, 3.0)])


def test_an_item_without_vector_is_named() -> None:
    with pytest.raises(ContractError, match=r"1 item\(s\) have no vector \(茶 first\)"):
        inputs_of(HISTORY, embeddings=embeddings_table(("apple", "bread", "unmet")))


def test_two_embedding_spaces_never_meet() -> None:
    with pytest.raises(EmbeddingSpaceError):
        inputs_of(HISTORY, embeddings=embeddings_table(CATALOGUE, space_ids=["a", "a", "b", "a"]))


def crowd_with_a_ring(*, until: float) -> Rows:
    """Honest users at their own times; two accounts that go through three items together on day 15."""
    rng = np.random.default_rng(8)
    honest = [
        (f"u{user:02}", item, 1.0, float(rng.uniform(0, 14))) for user in range(30) for item in ("apple", "bread", "茶")[: 1 + user % 3]
    ]
    ring = [(user, item, 2.0, 15.0) for user in ("ring1", "ring2") for item in ("apple", "bread", "茶")]
    later = [("ring1", item, -2.0, 20.5) for item in ("apple", "bread")]
    return [row for row in [*honest, *ring, *later] if row[3] < until]


def test_who_is_not_believed_counts_less_and_others_as_before() -> None:
    rows = crowd_with_a_ring(until=20)
    plain, judged = inputs_of(rows), inputs_of(rows, reviews=ReviewConfig())
    assert plain.credibility_U is None
    doubted = judged.users.positions(["ring1", "ring2"])
    believed = np.setdiff1d(np.flatnonzero(judged.credibility_U == 1.0), doubted)
    assert len(believed) > 15
    assert (judged.credibility_U[doubted] < 0.5).all()
    assert np.array_equal(plain.positives_UI[believed].toarray(), judged.positives_UI[believed].toarray())
    assert (judged.positives_UI[doubted].toarray() <= plain.positives_UI[doubted].toarray()).all()
    assert judged.positives_UI.nnz == plain.positives_UI.nnz


def test_credibility_knows_nothing_of_what_came_after() -> None:
    early = inputs_of(crowd_with_a_ring(until=20), reviews=ReviewConfig())
    with_future = inputs_of(crowd_with_a_ring(until=30), reviews=ReviewConfig())
    assert bytes_of(early) == bytes_of(with_future)
    assert np.array_equal(early.credibility_U, with_future.credibility_U)
