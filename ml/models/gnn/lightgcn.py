"""LightGCN as a recommender: likes alone, vectors of users and items, few layers, spectral start, sampled softmax.

He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation", SIGIR 2020; what is
trained how is `fitting`, texts and other relations are `interest_gnn`'s.
Shapes: B batch of users, U users, I items, D embedding size.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from ml.config.pipeline import LightGCNConfig
from ml.epochs.course import Progress
from ml.models.adjacency import SparseProduct, normalize_symmetric, to_torch
from ml.models.gnn.fingerprints import fingerprint_of
from ml.models.gnn.node_network import NodeNetwork
from ml.models.gnn.propagation import Vectors
from ml.models.gnn.relations import likes
from ml.models.gnn.vector_recommender import VectorRecommender, checkpoints_of
from ml.models.inputs import ModelInputs
from ml.models.spectral import spectral_vectors
from ml.models.storage import load_model, save_model
from ml.models.validation import Validation


class LightGCNNetwork(NodeNetwork):
    """`normalize(mean over layers l of A^l x)` with A the normalised likes between users and items; linear up to `normalize`."""

    def __init__(self, likes_UI: sp.csr_array, *, config: LightGCNConfig, rng: np.random.Generator, device: torch.device) -> None:
        """Start from the spectrum of the likes; who has none stays at 0."""
        super().__init__()
        users_UD, items_ID = spectral_vectors(likes_UI, embedding_size=config.embedding_size, rng=rng)
        start = {"user": users_UD, "item": items_ID}
        self.own = nn.ParameterDict({kind: nn.Parameter(torch.from_numpy(vectors)) for kind, vectors in start.items()})
        self.num_layers = config.num_layers
        normalized_UI = normalize_symmetric(likes_UI)
        self._likes_UI = to_torch(normalized_UI, device=device)
        self._likes_IU = to_torch(sp.csr_array(normalized_UI.T), device=device)
        self.to(device)

    def forward(self, *, shown_I1: Tensor | None = None) -> Vectors:
        """Unit vectors, or 0 without likes; items at 0 in `shown_I1` neither get nor give."""
        layers = self._layers(shown_I1)
        return {kind: nn.functional.normalize(torch.stack([layer[kind] for layer in layers]).sum(dim=0), dim=1) for kind in self.own}

    @torch.no_grad()
    def item_messages(self) -> Tensor:
        """What each item tells who likes it, shape [I, D]."""
        return torch.stack([layer["item"] for layer in self._layers()[:-1]]).sum(dim=0)

    def _layers(self, shown_I1: Tensor | None = None) -> list[Vectors]:
        found: list[Vectors] = [dict(self.own.items())]
        for _ in range(self.num_layers):
            to_users_UD = self._product(self._likes_UI, self._likes_IU, _shown(found[-1]["item"], shown_I1))
            to_items_ID = self._product(self._likes_IU, self._likes_UI, found[-1]["user"])
            found.append({"user": to_users_UD, "item": _shown(to_items_ID, shown_I1)})
        return found

    @staticmethod
    def _product(matrix_TS: Tensor, transposed_ST: Tensor, x_SD: Tensor) -> Tensor:
        product_TD: Tensor = SparseProduct.apply(matrix_TS, transposed_ST, x_SD)  # type: ignore[no-untyped-call]
        return product_TD


def _shown(vectors_ID: Tensor, shown_I1: Tensor | None) -> Tensor:
    return vectors_ID if shown_I1 is None else vectors_ID * shown_I1


class LightGCN(VectorRecommender[LightGCNConfig]):
    """Cosine of user and item over temperature, plus corrected log popularity (see `VectorRecommender`), from likes alone.

    A user of fit has a vector of their own beside what items tell them, so that folding them in comes near `score`, not to it.
    """

    name: ClassVar[str] = "lightgcn"

    def __init__(self, config: LightGCNConfig | None = None) -> None:
        """Unfitted. After `fit`, `chosen_config` is `config` with what the validation slice chose."""
        super().__init__(config or LightGCNConfig())

    def fit(
        self,
        inputs: ModelInputs,
        *,
        rng: np.random.Generator,
        validation_UI: sp.csr_array | None = None,
        progress: Progress | None = None,
        checkpoints: Path | None = None,
    ) -> Self:
        """Train for `config.epochs`; validation, checkpoints and reproducibility are as in `InterestGNN.fit`."""
        kept = checkpoints_of(
            checkpoints, lambda: fingerprint_of(inputs, model=self.name, config=self.config, rng=rng, validation_UI=validation_UI)
        )
        validation = None if validation_UI is None else Validation.prepare(validation_UI, seen_UI=inputs.seen_UI, rng=rng)
        likes_UI = likes(inputs, power=self.config.edge_weight_power)
        self._fit(
            lambda device: LightGCNNetwork(likes_UI, config=self.config, rng=rng, device=device),
            inputs,
            rng=rng,
            validation=validation,
            checkpoints=kept,
            progress=progress,
        )
        return self

    def save(self, directory: Path) -> None:
        """Write vectors and settings."""
        save_model(directory, name=self.name, parameters=self.chosen_config.model_dump(), arrays=self._arrays())

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote; the training history is not part of it."""
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls(LightGCNConfig.model_validate(parameters))
        model._read_arrays(arrays)
        return model
