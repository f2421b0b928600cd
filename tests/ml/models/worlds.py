"""Small worlds whose right answers are known, as `ModelInputs`.

Ids are partly Chinese on purpose. Shapes: U users, I items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import scipy.sparse as sp

from ml.graph.interest_graph import Edges, EdgeType, InterestGraph
from ml.ids import IntArray, Vocabulary
from ml.models.inputs import ModelInputs

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def make_inputs(liked_UI: np.ndarray, *, disliked_UI: np.ndarray | None = None, text_ID: np.ndarray | None = None) -> ModelInputs:
    """Inputs of weighted likes, shape [U, I]; texts default to one direction per item; the graph holds both."""
    num_users, num_items = liked_UI.shape
    disliked_UI = np.zeros(liked_UI.shape) if disliked_UI is None else disliked_UI
    text_ID = np.eye(num_items, max(num_items, 1)) if text_ID is None else text_ID
    users = Vocabulary("user", [f"用户{position:04d}" for position in range(num_users)])
    items = Vocabulary("item", [f"item-{position:04d}-茶" for position in range(num_items)])
    return ModelInputs(
        as_of=AS_OF,
        users=users,
        items=items,
        positives_UI=sp.csr_array(liked_UI, dtype=np.float32),
        seen_UI=sp.csr_array((liked_UI > 0) | (disliked_UI > 0), dtype=np.float32),
        text_ID=text_ID.astype(np.float32),
        graph=InterestGraph({"user": users, "item": items}, _edges(liked_UI, "interacted") | _edges(disliked_UI, "disliked")),
        age_UI=_ages(liked_UI),
    )


def _ages(liked_UI: np.ndarray) -> sp.csr_array:
    """Days that come from the item alone, so that users can be told apart by their likes only."""
    user_index, item_index = np.nonzero(liked_UI)
    return sp.csr_array(((1.0 + item_index % 5).astype(np.float32), (user_index, item_index)), shape=liked_UI.shape)


def _edges(weight_UI: np.ndarray, relation: str) -> dict[EdgeType, Edges]:
    user_index, item_index = np.nonzero(weight_UI)
    if not len(user_index):
        return {}
    weight = weight_UI[user_index, item_index].astype(np.float32)
    return {EdgeType("user", relation, "item"): Edges(user_index.astype(np.int64), item_index.astype(np.int64), weight)}


def two_tastes(*, users_per_taste: int = 24, items_per_taste: int = 8) -> tuple[ModelInputs, IntArray]:
    """Two groups that each like their own items only; one own item is withheld per user, and returned, shape [U].

    Positions alternate between the tastes and every item is liked equally often, so
    popularity has nothing to go by. Texts of a taste point the same way, with a little
    of their own. `users_per_taste` must be a multiple of `items_per_taste`.
    """
    num_users, num_items = 2 * users_per_taste, 2 * items_per_taste
    taste_U, taste_I = np.arange(num_users) % 2, np.arange(num_items) % 2
    withheld_U = 2 * ((np.arange(num_users) // 2) % items_per_taste) + taste_U
    liked_UI = (taste_U[:, None] == taste_I[None, :]).astype(float)
    liked_UI[np.arange(num_users), withheld_U] = 0.0
    text_ID = np.concatenate([np.eye(2)[taste_I], 0.2 * np.eye(num_items)], axis=1)
    text_ID /= np.linalg.norm(text_ID, axis=1, keepdims=True)
    return make_inputs(liked_UI, text_ID=text_ID), withheld_U.astype(np.int64)


def awkward_world() -> ModelInputs:
    """What real data holds: uneven weights, a disliker, someone who met everything, items nobody met."""
    rng = np.random.default_rng(11)
    liked_UI = rng.gamma(1.0, 1.0, size=(12, 9)) * (rng.random((12, 9)) < 0.5)
    disliked_UI = (rng.random((12, 9)) < 0.1) * (liked_UI == 0) * 1.0
    liked_UI[0], disliked_UI[0] = 0.0, 0.0
    disliked_UI[0, 2] = 1.0
    liked_UI[:, 7:], disliked_UI[:, 7:] = 0.0, 0.0
    liked_UI[5] = np.linspace(1e-30, 3.0, 9)
    disliked_UI[5] = 0.0
    liked_UI[:, 8], disliked_UI[1:5, 8] = 0.0, 0.0
    disliked_UI[5, 8] = 1.0
    text_ID = rng.normal(size=(9, 5))
    text_ID[3] = 0.0
    return make_inputs(liked_UI, disliked_UI=disliked_UI, text_ID=text_ID)


def relabelled(inputs: ModelInputs, order: IntArray) -> ModelInputs:
    """The same world with user positions in `order`: new user u is old user `order[u]`."""
    return make_inputs(
        inputs.positives_UI.toarray()[order],
        disliked_UI=((inputs.seen_UI.toarray() > 0) & (inputs.positives_UI.toarray() == 0))[order] * 1.0,
        text_ID=inputs.text_ID,
    )


def with_interests(inputs: ModelInputs, about: Mapping[str, Sequence[int]]) -> ModelInputs:
    """The world with interests that items at these positions are about, and that users have who like one of them."""
    interests = Vocabulary("interest", list(about))
    pairs = [(item, int(interests.positions([name])[0])) for name, items in about.items() for item in items]
    about_IT = np.zeros((len(inputs.items), len(interests)))
    about_IT[tuple(np.array(pairs).T)] = 1.0
    has_UT = (inputs.positives_UI.toarray() > 0) @ about_IT
    edges = {EdgeType("item", "about", "interest"): _edges_of(about_IT), EdgeType("user", "has_interest", "interest"): _edges_of(has_UT)}
    graph = InterestGraph(inputs.graph.vocabularies | {"interest": interests}, inputs.graph.edges | edges)
    return replace(inputs, graph=graph)


def _edges_of(weight_ST: np.ndarray) -> Edges:
    source, target = np.nonzero(weight_ST)
    return Edges(source.astype(np.int64), target.astype(np.int64), weight_ST[source, target].astype(np.float32))
