"""Node2Vec: vectors of the graph's nodes from what is met around them on random walks.

Grover & Leskovec, "node2vec: Scalable feature learning for networks", KDD 2016, trained by the skip-gram
with negative sampling of Mikolov et al., NeurIPS 2013. The walks are `walks`', the vectors' training
`skip_gram`. Shapes: B batch of users, U users, I items, D embedding size, N nodes of all types.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp
import torch

from ml.epochs.course import Epoch, Progress
from ml.graph.build import DISLIKED
from ml.graph.interest_graph import NODE_TYPES
from ml.ids import FloatArray, IntArray
from ml.models.gnn.relations import relation_weights
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs
from ml.models.recommender import require_known_users, require_same_items
from ml.models.skip_gram import Node2VecSettings, train_skip_gram
from ml.models.storage import load_model, save_model
from ml.models.walks import WalkGraph


class Node2Vec:
    """Score `in_u . out_i + in_i . out_u`: how much more often than by chance user and item meet on walks, asked from both sides.

    A node has two vectors, one as the centre of a walk, one as surroundings; their product is what the
    skip-gram is trained for (a shifted log odds of meeting: Levy & Goldberg, NeurIPS 2014), while the cosine
    of two centres, often used, says nothing of pairs that only meet each other. Walks go over every relation
    but dislikes; each relation's mean weight is 1. In a graph of likes alone no triangle exists, so that q
    only sets p's scale. Nodes without an edge have vectors of 0; a newcomer has the mean of what they like.
    """

    name: ClassVar[str] = "node2vec"

    def __init__(self, settings: Node2VecSettings | None = None) -> None:
        self.settings = settings or Node2VecSettings()
        self.history: tuple[Epoch, ...] = ()
        self._user_vectors_UD: FloatArray = np.zeros((0, 0), dtype=np.float32)
        self._item_vectors_ID: FloatArray = np.zeros((0, 0), dtype=np.float32)

    def fit(self, inputs: ModelInputs, *, rng: np.random.Generator, progress: Progress | None = None) -> Self:
        """Walk and learn; `rng` seeds starting vectors, walks and negatives."""
        graph = WalkGraph.of(joined(inputs, edge_weight_power=self.settings.edge_weight_power))
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        network, self.history = train_skip_gram(graph, settings=self.settings, generator=generator, progress=progress)
        center_ND, around_ND = network.vectors()
        num_users, num_items = len(inputs.users), len(inputs.items)
        items = slice(num_users, num_users + num_items)
        self._user_vectors_UD = np.hstack([center_ND[:num_users], around_ND[:num_users]])
        self._item_vectors_ID = np.hstack([around_ND[items], center_ND[items]])
        return self

    def score(self, user_index: IntArray) -> FloatArray:
        """Log odds, shifted, 0 for users and items without an edge, shape [B, I]."""
        require_known_users(user_index, num_users=len(self._user_vectors_UD))
        return self._user_vectors_UD[user_index] @ self._item_vectors_ID.T

    def fold_in(self, histories: Histories) -> FloatArray:
        """As `score`, for new users, who are put in the middle of the items they like, shape [B, I]."""
        require_same_items(histories, num_items=len(self._item_vectors_ID))
        liked_BI = histories.liked_UI
        num_liked_B1 = np.maximum(np.diff(liked_BI.indptr), 1)[:, None].astype(np.float32)
        # An item's two halves stand the other way round than a user's.
        around_ID, center_ID = np.hsplit(self._item_vectors_ID, 2)
        middle_BD = (liked_BI @ np.hstack([center_ID, around_ID])) / num_liked_B1
        scores_BI: FloatArray = middle_BD @ self._item_vectors_ID.T
        return scores_BI

    def save(self, directory: Path) -> None:
        """Write vectors and settings."""
        arrays = {"user_vectors": self._user_vectors_UD, "item_vectors": self._item_vectors_ID}
        save_model(directory, name=self.name, parameters=self.settings.model_dump(), arrays=arrays)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote; the training history is not part of it."""
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls(Node2VecSettings.model_validate(parameters))
        model._user_vectors_UD = arrays["user_vectors"].astype(np.float32, copy=False)
        model._item_vectors_ID = arrays["item_vectors"].astype(np.float32, copy=False)
        return model


def joined(inputs: ModelInputs, *, edge_weight_power: float) -> sp.csr_array:
    """Every relation but dislikes, both ways, over all nodes in the order of `NODE_TYPES`, symmetric, shape [N, N]."""
    counts = {"user": len(inputs.users), "item": len(inputs.items)} | {kind: inputs.graph.num_nodes(kind) for kind in NODE_TYPES[2:]}
    first = dict(zip(counts, np.cumsum([0, *counts.values()]).tolist(), strict=False))
    shape = (sum(counts.values()),) * 2
    weight_NN = sp.csr_array(shape, dtype=np.float64)
    for edge_type, weight_ST in relation_weights(inputs, edge_weight_power=edge_weight_power):
        if edge_type == DISLIKED:
            continue
        found = sp.coo_array(weight_ST)
        source_E, target_E = found.coords[0] + first[edge_type.source], found.coords[1] + first[edge_type.target]
        # A node's edge to itself would be met twice and tell nothing.
        is_other_E = source_E != target_E
        entries = (found.data[is_other_E] / found.data.mean(), (source_E[is_other_E], target_E[is_other_E]))
        weight_NN += sp.csr_array(entries, shape=shape)
    return sp.csr_array(weight_NN + weight_NN.T)
