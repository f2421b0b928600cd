"""Settings of the graph neural networks: `model` in a profile, and what LightGCN has instead."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from ml.config.sections.section import Section


class ModelConfig(Section):
    """The graph neural network."""

    embedding_size: PositiveInt = Field(64, description="dimensions of a node vector")
    num_layers: int = Field(2, ge=1, le=4, description="propagation layers")
    epochs: PositiveInt = Field(40, description="epochs at most")
    warm_epochs: PositiveInt = Field(5, description="epochs of a fit that starts from an earlier one")
    full_fit_every_days: PositiveInt = Field(7, description="days between full fits; the days in between start from the last one")
    patience: PositiveInt = Field(4, description="epochs without gain on the validation slice before stopping")
    batch_size: PositiveInt = Field(4096, description="positives per step")
    num_negatives: PositiveInt = Field(1024, description="sampled negatives per batch, shared by its positives")
    batches_per_step: PositiveInt = Field(
        1, description="batches whose gradients are summed before the optimiser steps and the graph is propagated anew"
    )
    in_batch_negatives: bool = Field(False, description="every positive is a negative of the batch's other positives too")
    hard_negative_share: float = Field(
        0.0, ge=0, lt=1, description="share of the negatives' weight on items two steps from the liked one that its user does not like"
    )
    disliked_negative_weight: NonNegativeFloat = Field(
        0.0, description="weight of an item its user dislikes among a positive's negatives; all others weigh 1 together"
    )
    learning_rate: PositiveFloat = Field(0.01, description="Adam step size")
    regularization: NonNegativeFloat = Field(1e-6, description="weight of the squared L2 norm of the batch's node vectors")
    hidden_item_share: float = Field(
        0.2, ge=0, lt=1, description="share of items that play new in each step, so that text and interests learn to speak for them"
    )
    like_weight_power: NonNegativeFloat = Field(0.3, description="power of a faded like in the loss; 0: all likes count the same")
    edge_weight_power: NonNegativeFloat = Field(0.1, description="power of a faded like as an edge; 0: all likes count the same")
    side_relation_weight: PositiveFloat = Field(1.0, description="weight of interest and knowledge relations before training; likes have 1")
    excluded_relations: tuple[str, ...] = Field(
        ("similar", "within"),
        description="relations of the graph that the model does not look along; they stay in the graph. These two gained nothing "
        "(docs/graph.md)",
    )
    temperature: PositiveFloat = Field(0.16, description="softmax temperature; large catalogues do better with 0.12")
    popularity_correction: NonNegativeFloat = Field(1.0, description="log popularity added back to the logits, times this")
    seed: int = Field(7, description="seed of weights, batches and negatives")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: cuda where there is one")


class LightGCNConfig(ModelConfig):
    """LightGCN: as `ModelConfig`, with the settings of a large catalogue that is known by behaviour alone."""

    embedding_size: PositiveInt = Field(128, description="dimensions of a node vector")
    num_layers: int = Field(1, ge=1, le=4, description="propagation layers")
    epochs: PositiveInt = Field(5, description="epochs at most")
    batch_size: PositiveInt = Field(8192, description="positives per batch")
    num_negatives: PositiveInt = Field(2048, description="sampled negatives per batch, shared by its positives")
    batches_per_step: PositiveInt = Field(
        4, description="batches whose gradients are summed before the optimiser steps and the graph is propagated anew"
    )
    learning_rate: PositiveFloat = Field(0.02, description="Adam step size")
    regularization: NonNegativeFloat = Field(0.0, description="weight of the squared L2 norm of the batch's node vectors")
    hidden_item_share: float = Field(0.0, ge=0, lt=1, description="share of items whose behaviour is hidden in each step")
    temperature: PositiveFloat = Field(0.12, description="softmax temperature")
    popularity_correction: NonNegativeFloat = Field(1.0, description="log popularity added back to the logits, times this")
