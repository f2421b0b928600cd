"""The models a hybrid may pool, by name: how each is made, and how its scores read.

Shapes as in `ml.models.recommender`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ml.config.pipeline import ModelConfig
from ml.models.community_popularity import CommunityPopularity
from ml.models.ease import EASE
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.gnn.lightgcn import LightGCN
from ml.models.hybrid.readings import Scale
from ml.models.ials import IALS
from ml.models.item_knn import ItemKNN
from ml.models.popularity import Popularity
from ml.models.recommender import Recommender
from ml.models.spectral_filter import SpectralFilter
from ml.models.text_only import TextOnly
from ml.models.transitions import Transitions
from ml.models.user_knn import UserKNN

# Its weights are dense, and a release keeps them: 64 MB.
EASE_ITEMS = 4000
SPECTRAL_VECTORS = 256


@dataclass(frozen=True)
class Component:
    """A class of models, how one is made of the settings, and the scale of its scores."""

    model: type[Any]
    make: Callable[[ModelConfig], Recommender]
    scale: Scale


COMPONENTS: Mapping[str, Component] = {
    InterestGNN.name: Component(InterestGNN, InterestGNN, "logit"),
    LightGCN.name: Component(LightGCN, lambda _: LightGCN(), "logit"),
    UserKNN.name: Component(UserKNN, lambda _: UserKNN(), "weight"),
    IALS.name: Component(IALS, lambda _: IALS(), "weight"),
    ItemKNN.name: Component(ItemKNN, lambda _: ItemKNN(), "weight"),
    EASE.name: Component(EASE, lambda _: EASE(max_items=EASE_ITEMS), "weight"),
    SpectralFilter.name: Component(SpectralFilter, lambda _: SpectralFilter(num_vectors=SPECTRAL_VECTORS), "weight"),
    Transitions.name: Component(Transitions, lambda _: Transitions(), "weight"),
    TextOnly.name: Component(TextOnly, lambda _: TextOnly(), "weight"),
    CommunityPopularity.name: Component(CommunityPopularity, lambda _: CommunityPopularity(), "weight"),
    Popularity.name: Component(Popularity, lambda _: Popularity(), "weight"),
}
