"""Settings of pooling and ordering: `hybrid` in a profile."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from ml.config.sections.section import Section

PooledModel = Literal[
    "interest_gnn",
    "lightgcn",
    "user_knn",
    "item_knn",
    "ease",
    "ials",
    "spectral_filter",
    "transitions",
    "text_only",
    "community_popularity",
    "popularity",
]


class HybridConfig(Section):
    """Pooling several models and ordering what they agree on."""

    models: tuple[PooledModel, ...] = Field(
        ("interest_gnn", "item_knn", "ease", "spectral_filter", "transitions", "text_only", "community_popularity", "popularity"),
        min_length=1,
        description="models that are fitted and pooled; what each counts is learned on the validation slice",
    )
    num_candidates: PositiveInt = Field(200, description="the pool's best items per user that the ranker orders")
    list_length: PositiveInt = Field(10, description="ranks that count while weights and trees are learned")
    max_trees: int = Field(100, ge=0, description="trees of the ranker at most; how many is learned, 0: no ranker")
    tree_step: PositiveInt = Field(10, description="trees by which the ranker's size is varied")
    tree_learning_rate: PositiveFloat = Field(0.02, description="shrinkage of a tree")
    num_leaves: int = Field(7, ge=2, description="leaves of a tree at most")
    min_leaf_pairs: PositiveInt = Field(200, description="candidate pairs a leaf needs")
