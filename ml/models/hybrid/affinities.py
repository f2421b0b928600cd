"""What is known of a user and an item together, beyond the models' scores: the ranker's features.

Everything is derived from a user's history and from what was known at fit, so that a user who was not there is
described like one who was. Shapes: U users, B batch of users, I items, T interests, D text dimensions, P pairs, F features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.graph.communities import communities_of
from ml.graph.edge_types import ABOUT
from ml.ids import FloatArray, IntArray
from ml.models.community_popularity import community_shares, membership
from ml.models.gnn.vector_recommender import log_popularity
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs
from ml.models.storage import sparse_from_arrays, sparse_to_arrays
from ml.ranking.sparse_rows import unit_rows
from ml.unit_rows import unit_rows as dense_unit_rows

CATEGORY_PREFIX = "category:"
# Days that stand for never: of an item nobody liked, or a history without order.
NEVER_DAYS = 3650.0
# Steps from a user over what they like: to an item of the same interest, to one of the same community, and beyond both.
THROUGH_INTEREST, WITHIN_COMMUNITY, FARTHEST = 3.0, 4.0, 5.0
_MATRICES = ("about", "categories", "members")

NAMES = (
    "text similarity",
    "interest overlap",
    "category affinity",
    "community affinity",
    "price distance",
    "graph distance",
    "popularity",
    "popularity trend",
    "days since last liked",
    "days since first liked",
    "credibility of likers",
    "likes of the user",
    "days since the user's last like",
)


@dataclass(frozen=True)
class Affinities:
    """What was known of items at fit, by arrays [I] and matrices with a row per item."""

    text_ID: FloatArray
    about_IT: sp.csr_array
    categories_IT: sp.csr_array
    member_IC: sp.csr_array
    per_item: Mapping[str, FloatArray]

    @classmethod
    def of(cls, inputs: ModelInputs) -> Self:
        """What `inputs` say of items and who liked them."""
        about_IT = unit_rows(inputs.graph.adjacency(ABOUT))
        interests = inputs.graph.vocabularies.get("interest")
        is_category_T = (
            np.asarray(pc.starts_with(interests.ids, CATEGORY_PREFIX), dtype=np.float32) if interests else np.zeros(0, np.float32)
        )
        return cls(
            text_ID=dense_unit_rows(inputs.text_ID),
            about_IT=about_IT,
            categories_IT=sp.csr_array(about_IT @ sp.diags_array(is_category_T.astype(np.float32)), dtype=np.float32),
            member_IC=membership(communities_of(inputs.graph, resolution=1.0, seed=0)["item"]),
            per_item=_per_item(inputs),
        )

    @classmethod
    def nothing(cls) -> Self:
        """Of no item, before a fit."""
        empty = sp.csr_array((0, 0), dtype=np.float32)
        return cls(np.zeros((0, 0), dtype=np.float32), empty, empty, empty, {})

    def features(self, histories: Histories, *, row_P: IntArray, item_P: IntArray) -> FloatArray:
        """Columns `NAMES` of pairs of a row of `histories` and an item, shape [P, F]; nan where nothing is known."""
        overlap_P = _overlap(histories, self.about_IT, row_P, item_P)
        community_P = self._community_affinity(histories, row_P, item_P)
        columns = {
            "text similarity": self._text_similarity(histories, row_P, item_P),
            "interest overlap": overlap_P,
            "category affinity": _overlap(histories, self.categories_IT, row_P, item_P),
            "community affinity": community_P,
            "price distance": self._price_distance(histories, row_P, item_P),
            "graph distance": np.select([overlap_P > 0, community_P > 0], [THROUGH_INTEREST, WITHIN_COMMUNITY], FARTHEST),
            "likes of the user": np.log1p(np.diff(histories.positives_UI.indptr))[row_P],
            "days since the user's last like": _last_like(histories)[row_P],
        }
        columns |= {name: values_I[item_P] for name, values_I in self.per_item.items() if name in NAMES}
        return np.stack([columns[name] for name in NAMES], axis=1).astype(np.float32)

    def _text_similarity(self, histories: Histories, row_P: IntArray, item_P: IntArray) -> FloatArray:
        profile_BD = dense_unit_rows(histories.positives_UI.astype(np.float64) @ self.text_ID)
        return np.asarray(np.einsum("pd,pd->p", profile_BD[row_P], self.text_ID[item_P]), dtype=np.float32)

    def _community_affinity(self, histories: Histories, row_P: IntArray, item_P: IntArray) -> FloatArray:
        """Share of the user's faded likes in the item's community."""
        share_BC = community_shares(histories, member_IC=self.member_IC)
        return np.asarray(share_BC[row_P].multiply(self.member_IC[item_P]).sum(axis=1), dtype=np.float32).reshape(-1)

    def _price_distance(self, histories: Histories, row_P: IntArray, item_P: IntArray) -> FloatArray:
        """How far the log price is from the mean of those the user likes; nan where either is unknown."""
        log_price_I = self.per_item["log price"]
        known_I = np.isfinite(log_price_I)
        weight_BI = histories.positives_UI.astype(np.float64) @ sp.diags_array(known_I.astype(np.float64))
        total_B = weight_BI.sum(axis=1)
        mean_B = np.divide(weight_BI @ np.where(known_I, log_price_I, 0.0), total_B, out=np.full(len(total_B), np.nan), where=total_B > 0)
        return np.asarray(np.abs(log_price_I[item_P] - mean_B[row_P]), dtype=np.float32)

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Everything as named arrays, for a model's file."""
        arrays: dict[str, npt.NDArray[np.generic]] = {f"item {name}": values_I for name, values_I in self.per_item.items()}
        arrays["text"] = self.text_ID
        for prefix, matrix in zip(_MATRICES, (self.about_IT, self.categories_IT, self.member_IC), strict=True):
            arrays |= sparse_to_arrays(matrix, prefix=prefix)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Self:
        """What `to_arrays` took apart."""
        about_IT, categories_IT, member_IC = (sparse_from_arrays(arrays, prefix=prefix) for prefix in _MATRICES)
        per_item = {name.removeprefix("item "): array.astype(np.float32) for name, array in arrays.items() if name.startswith("item ")}
        return cls(arrays["text"].astype(np.float32), about_IT, categories_IT, member_IC, per_item)


def _per_item(inputs: ModelInputs) -> dict[str, FloatArray]:
    """Arrays of shape [I] by name, those of `NAMES` and the log price."""
    faded_I = log_popularity(inputs)
    likes_UI = inputs.histories.liked_UI
    num_likes_I = np.asarray(likes_UI.sum(axis=0, dtype=np.float64))
    youngest_I, oldest_I = _youngest_and_oldest(inputs.histories)
    credible_I = num_likes_I if inputs.credibility_U is None else likes_UI.T @ inputs.credibility_U.astype(np.float64)
    found = {
        "popularity": faded_I,
        "popularity trend": faded_I - np.log1p(num_likes_I),
        "days since last liked": youngest_I,
        "days since first liked": oldest_I,
        "credibility of likers": np.divide(credible_I, num_likes_I, out=np.full(len(num_likes_I), np.nan), where=num_likes_I > 0),
        "log price": np.full(len(num_likes_I), np.nan) if inputs.price_I is None else np.log(inputs.price_I),
    }
    return {name: values_I.astype(np.float32) for name, values_I in found.items()}


def _youngest_and_oldest(histories: Histories) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Days since each item was last and first liked, `NEVER_DAYS` where nobody knows, each shape [I]."""
    num_items = histories.positives_UI.shape[1]
    if histories.age_UI is None:
        return np.full(num_items, NEVER_DAYS), np.full(num_items, NEVER_DAYS)
    youngest_I, oldest_I = np.full(num_items, np.inf), np.full(num_items, -np.inf)
    np.minimum.at(youngest_I, histories.age_UI.indices, histories.age_UI.data)
    np.maximum.at(oldest_I, histories.age_UI.indices, histories.age_UI.data)
    is_liked_I = np.isfinite(youngest_I)
    return np.where(is_liked_I, youngest_I, NEVER_DAYS), np.where(is_liked_I, oldest_I, NEVER_DAYS)


def _last_like(histories: Histories) -> npt.NDArray[np.float64]:
    """Days since each user's newest like, shape [B]."""
    days_B = np.full(len(histories), NEVER_DAYS)
    if histories.age_UI is not None:
        row_E = np.repeat(np.arange(len(histories)), np.diff(histories.age_UI.indptr))
        np.minimum.at(days_B, row_E, histories.age_UI.data)
    return days_B


def _overlap(histories: Histories, about_IT: sp.csr_array, row_P: IntArray, item_P: IntArray) -> FloatArray:
    """Cosine of the interests of what a user likes, by weight, and an item's, shape [P]."""
    # In float64: squares of likes long faded leave float32.
    profile_BT = unit_rows(sp.csr_array(histories.positives_UI.astype(np.float64) @ about_IT))
    return np.asarray(profile_BT[row_P].multiply(about_IT[item_P]).sum(axis=1), dtype=np.float32).reshape(-1)
