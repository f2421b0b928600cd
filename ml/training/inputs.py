"""From tables to what recommenders are fitted on, as of a moment.

Everything that depends on behaviour is derived here from rows before `as_of`: weights,
user interests, the graph. What a catalogue says of items (text, interests, knowledge) is taken as given.
Shapes: U users, I items, D text dimensions.
"""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.config.pipeline import GraphConfig, InterestConfig, ReviewConfig
from ml.contracts.contract import TIMESTAMP, check_no_leakage
from ml.contracts.meaning import REVIEW_SIGNALS, TEXT_INTERESTS
from ml.contracts.spaces import space_of
from ml.contracts.vectors import vectors_to_matrix
from ml.decay import MICROSECONDS_PER_DAY
from ml.errors import ContractError
from ml.graph.build import build_interest_graph
from ml.ids import FloatArray, Vocabulary
from ml.interests.affinities import pair_affinities
from ml.interests.profiles import weigh_user_interests
from ml.knowledge.attributes import item_prices
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs
from ml.reviews.reviewers import judge_reviewers
from ml.reviews.weighing import credibility_of, weigh_interactions, weigh_text_interests

# The smallest normal float32: a like so old that its weight vanishes is still a like.
_FAINTEST_LIKE = np.finfo(np.float32).tiny


def build_inputs(
    interactions: pa.Table,
    *,
    items: pa.Table,
    item_embeddings: pa.Table,
    item_interests: pa.Table,
    text_interests: pa.Table,
    knowledge_graph: pa.Table,
    interests: InterestConfig,
    graph: GraphConfig,
    as_of: datetime,
    review_signals: pa.Table | None = None,
    reviews: ReviewConfig | None = None,
    interest_points: pa.Table | None = None,
    with_similar: bool = False,
) -> ModelInputs:
    """What was known at `as_of`: only interactions with `last_event_at` before it, and texts written before it.

    Every row of `items` is in the item vocabulary, met or not; users are those with any
    interaction before `as_of`. An item that nobody could describe yet, because its words are
    of users who wrote them later, has a text vector of zeros and no interests. With `reviews` users
    are judged by what they had done by `as_of`, and count by it; without, all count the same. The graph joins items
    alike in meaning only `with_similar`, and interests to those they are a part of only with `interest_points`.

    Raises `UnknownIdError` for an interaction with an item outside `items`, `ContractError`
    for an item without embedding, and `EmbeddingSpaceError` for embeddings of two spaces.
    """
    known = interactions.filter(pc.less(interactions.column("last_event_at"), pa.scalar(as_of, TIMESTAMP)))
    check_no_leakage(known, name="interactions", column="last_event_at", as_of=as_of)
    user_ids = Vocabulary("user", known.column("user_id"))
    item_ids = Vocabulary("item", items.column("item_id"))
    said = _texts_known(text_interests, users=user_ids, as_of=as_of)
    credibility_U = None
    if reviews is not None:
        signals = REVIEW_SIGNALS.empty() if review_signals is None else review_signals
        reviewers = judge_reviewers(known, review_signals=signals, config=reviews, as_of=as_of)
        known = weigh_interactions(known, review_signals=signals, reviewer_signals=reviewers, config=reviews, as_of=as_of)
        said = weigh_text_interests(said, reviewer_signals=reviewers, config=reviews)
        credibility_U = credibility_of(user_ids.ids, reviewer_signals=reviewers, config=reviews).astype(np.float32)
    histories, seen_UI = interaction_matrices(known, users=user_ids, items=item_ids, half_life_days=graph.half_life_days, as_of=as_of)
    unknown = _described_later(items, met=known.column("item_id"), as_of=as_of)
    item_interests = item_interests.filter(pc.invert(pc.is_in(item_interests.column("item_id"), value_set=unknown)))
    text_ID = _text_vectors(item_embeddings, items=item_ids, without=unknown)
    user_interests = weigh_user_interests(known, item_interests=item_interests, text_interests=said, config=interests, as_of=as_of)
    return ModelInputs(
        as_of=as_of,
        users=user_ids,
        items=item_ids,
        positives_UI=histories.positives_UI,
        seen_UI=seen_UI,
        text_ID=text_ID,
        credibility_U=credibility_U,
        age_UI=histories.age_UI,
        price_I=_prices(items, order=item_ids),
        graph=build_interest_graph(
            known,
            items=item_ids,
            users=user_ids,
            item_interests=item_interests,
            user_interests=user_interests,
            knowledge_graph=knowledge_graph,
            config=graph,
            as_of=as_of,
            interest_points=interest_points,
            text_ID=text_ID if with_similar else None,
        ),
    )


def interaction_matrices(
    known: pa.Table, *, users: Vocabulary, items: Vocabulary, half_life_days: float, as_of: datetime
) -> tuple[Histories, sp.csr_array]:
    """Likes as affinities above 0 (see `ml.interests.affinities`) with their ages, and 1 wherever a user met an item; float32 [U, I].

    Whether a pair is a like is decided at its own last event, so age alone never unmakes one.
    """
    shape = (len(users), len(items))
    met = (users.positions(known.column("user_id")), items.positions(known.column("item_id")))
    seen_UI = sp.csr_array((np.ones(known.num_rows, dtype=np.float32), met), shape=shape)
    seen_UI.sum_duplicates()
    seen_UI.data[:] = 1.0
    pairs = pair_affinities(known, users=users, items=items, half_lives_days=(half_life_days,), as_of=as_of)
    # The sign bit, not > 0: it outlives an affinity faded to nothing.
    liked = pairs.take(~np.signbit(pairs.affinity_HM[0]))
    places = np.divmod(liked.key_M, max(len(items), 1))
    weight_M = np.maximum(liked.affinity_HM[0], _FAINTEST_LIKE).astype(np.float32)
    age_M = ((pa.scalar(as_of, TIMESTAMP).value - liked.last_M) / MICROSECONDS_PER_DAY).astype(np.float32)
    return Histories(sp.csr_array((weight_M, places), shape=shape), sp.csr_array((age_M, places), shape=shape)), seen_UI


def _prices(items: pa.Table, *, order: Vocabulary) -> FloatArray:
    """Prices in vocabulary order, nan where an item has none, shape [I]."""
    prices_I = np.full(len(order), np.nan, dtype=np.float32)
    prices_I[order.positions(items.column("item_id"))] = item_prices(items)
    return prices_I


def _texts_known(text_interests: pa.Table, *, users: Vocabulary, as_of: datetime) -> pa.Table:
    """What `users` had written before `as_of`."""
    before = pc.less(text_interests.column("event_at"), pa.scalar(as_of, TIMESTAMP))
    known = text_interests.filter(pc.and_(before, pc.is_in(text_interests.column("user_id"), value_set=users.ids)))
    check_no_leakage(known, name=TEXT_INTERESTS.name, column="event_at", as_of=as_of)
    return known


def _described_later(items: pa.Table, *, met: pa.ChunkedArray, as_of: datetime) -> pa.Array:
    """Items whose words users wrote at or after `as_of`, or that no catalogue names and nobody had met by then."""
    words_later = pc.fill_null(pc.greater_equal(items.column("text_known_at"), pa.scalar(as_of, TIMESTAMP)), False)
    unmet = pc.invert(pc.or_(items.column("is_catalogued"), pc.is_in(items.column("item_id"), value_set=pc.unique(met))))
    return items.column("item_id").filter(pc.or_(words_later, unmet)).combine_chunks()


def _text_vectors(item_embeddings: pa.Table, *, items: Vocabulary, without: pa.Array) -> FloatArray:
    """The items' text vectors in vocabulary order, zeros for those `without`, shape [I, D]."""
    space_of(item_embeddings, name="item_embeddings")
    row_I = pc.fill_null(pc.index_in(items.ids, value_set=item_embeddings.column("item_id").combine_chunks()), -1).to_numpy()
    absent = items.ids.filter(pa.array(row_I < 0))
    if len(absent):
        raise ContractError(
            "item_embeddings", [f"{len(absent)} item(s) have no vector ({absent[0]} first); embed the items of this day again"]
        )
    vectors_ID: FloatArray = vectors_to_matrix(item_embeddings.column("vector"))[row_I]
    vectors_ID[items.positions(without)] = 0.0
    return vectors_ID
