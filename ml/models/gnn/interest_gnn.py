"""The interest-graph GNN as a recommender: fit, score, vectors, save, load.

What is trained is `network`, how `fitting`; the choice of this set-up, with figures, is
docs/adr/0003-model-default.md. Shapes: B batch of users, U users, I items, D embedding size.
"""

from copy import copy
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch

from ml.config.pipeline import ModelConfig
from ml.epochs.course import AfterEpoch, Progress
from ml.errors import ReleaseError
from ml.ids import FloatArray
from ml.models.gnn.fingerprints import fingerprint_of
from ml.models.gnn.network import InterestNetwork
from ml.models.gnn.network_state import PROJECTION, NetworkState, start_from
from ml.models.gnn.propagation import Propagation, TypedPropagation
from ml.models.gnn.vector_recommender import VectorRecommender, below, checkpoints_of, log_popularity
from ml.models.inputs import ModelInputs
from ml.models.spectral import centered, text_mean
from ml.models.storage import load_model, save_model
from ml.models.validation import Validation
from ml.unit_rows import unit_rows

_CONFIG = "config/"
_RELATION = "relation_weight/"
_NETWORK = "network"
_TEXT_MEAN = "text_mean"


class InterestGNN(VectorRecommender[ModelConfig]):
    """Vectors of users and items, propagated over the interest graph, scored with the items' popularity (see `VectorRecommender`).

    A user without likes has the vector of their interests; one without either is scored by popularity alone. New users
    are folded in by their likes, new items embedded by their text, both without training.
    """

    name: ClassVar[str] = "interest_gnn"
    propagation: ClassVar[type[Propagation]] = TypedPropagation

    def __init__(self, config: ModelConfig | None = None) -> None:
        """Unfitted. After `fit`, `chosen_config` is `config` with what the validation slice chose.

        `network_state` is then what a later fit can start from.
        """
        super().__init__(config or ModelConfig())
        self.relation_weights: dict[str, float] = {}
        self.network_state: NetworkState | None = None
        self._text_mean_F: FloatArray | None = None
        self._projection_FD: FloatArray | None = None

    def fit(
        self,
        inputs: ModelInputs,
        *,
        rng: np.random.Generator,
        validation_UI: sp.csr_array | None = None,
        progress: Progress | None = None,
        start: NetworkState | None = None,
        checkpoints: Path | None = None,
        after_epoch: AfterEpoch | None = None,
    ) -> Self:
        """Train for `config.epochs`; with `validation_UI` (new likes, in the inputs' vocabularies), stop early and choose.

        Chosen are the epoch with the best NDCG@10 and the strength of the popularity correction.
        With `start`, what is known from an earlier fit starts from there (`network_state`). With
        `checkpoints` (a folder of this fit's own; drop it once the model is stored), a killed fit goes on where it was.
        What `after_epoch` raises ends the fit and comes out; the model is then of no use.
        On one CPU and thread count, the same inputs, rng and start give the same bits, killed or not; on
        CUDA, nearly. Raises `ConfigError` for a start of another shape.
        """
        kept = checkpoints_of(
            checkpoints,
            lambda: fingerprint_of(inputs, config=self.config, rng=rng, validation_UI=validation_UI, start=start, model=self.name),
        )
        validation = None if validation_UI is None else Validation.prepare(validation_UI, seen_UI=inputs.seen_UI, rng=rng)

        def build(device: torch.device) -> InterestNetwork:
            network = InterestNetwork(inputs, config=self.config, rng=rng, device=device, propagation=self.propagation)
            if start is not None:
                start_from(network, start, vocabularies=inputs.graph.vocabularies)
            return network

        network = self._fit(build, inputs, rng=rng, validation=validation, checkpoints=kept, progress=progress, after_epoch=after_epoch)
        self.relation_weights = network.propagation.named_weights()
        self.network_state = NetworkState.of(network, vocabularies=inputs.graph.vocabularies)
        if self.propagation.is_linear:
            self._text_mean_F, self._projection_FD = text_mean(inputs.text_ID), self.network_state.arrays[PROJECTION]
        return self

    def propagated_over(self, inputs: ModelInputs) -> Self:
        """The same parameters over another graph of the same nodes: what it would say had it been trained, then lost or gained edges.

        Nothing is trained; on the CPU. Raises `ReleaseError` for a model without its network, `ConfigError` for texts of another space.
        """
        if self.network_state is None:
            raise ReleaseError(f"this {self.name} has no network to propagate: it was not fitted, or saved without it; fit it again")
        network = InterestNetwork(
            inputs, config=self.chosen_config, rng=np.random.default_rng(0), device=torch.device("cpu"), propagation=self.propagation
        )
        start_from(network, self.network_state, vocabularies=inputs.graph.vocabularies)
        model = copy(self)
        model._popularity_I = log_popularity(inputs)
        model._finish(network, inputs, None)
        model.chosen_config = self.chosen_config
        return model

    def embed_items(self, text_NF: FloatArray) -> FloatArray:
        """Unit vectors of new items that nothing is known of but their text, shape [N, D]; 0 for rows of zeros.

        The same vector as such an item had had at fit; scored without popularity. Raises `ReleaseError`
        for a model saved without its network, `ValueError` for texts of another space.
        """
        if self._projection_FD is None or self._text_mean_F is None:
            raise ReleaseError(
                f"this {self.name} cannot embed new items: it was not fitted, or saved before it could, or its layers are not linear; "
                "fit it with the items in its catalogue"
            )
        if text_NF.shape[1] != len(self._projection_FD):
            raise ValueError(
                f"the texts have {text_NF.shape[1]} dimensions, the model knows {len(self._projection_FD)}; use its text model"
            )
        return unit_rows(centered(text_NF, mean_F=self._text_mean_F).astype(np.float64) @ self._projection_FD)

    def save(self, directory: Path) -> None:
        """Write the final vectors and settings, which score, and the network's state, which a later fit starts from."""
        chosen = {f"{_CONFIG}{key}": value for key, value in self.chosen_config.model_dump().items()}
        weights = {f"{_RELATION}{name}": weight for name, weight in self.relation_weights.items()}
        save_model(directory, name=self.name, parameters=chosen | weights, arrays=self._arrays() | self._text_arrays())
        if self.network_state is not None:
            self.network_state.save(directory / _NETWORK)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote; the training history is not part of it.

        One older than warm starts has no network, one older than folding in by messages neither embeds items nor folds in.
        """
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls(ModelConfig.model_validate(below(parameters, _CONFIG)))
        model._read_arrays(arrays)
        model.relation_weights = {name: float(weight) for name, weight in below(parameters, _RELATION).items()}
        model.network_state = NetworkState.load(directory / _NETWORK) if (directory / _NETWORK).exists() else None
        if _TEXT_MEAN in arrays:
            model._text_mean_F, model._projection_FD = (arrays[name].astype(np.float32, copy=False) for name in (_TEXT_MEAN, PROJECTION))
        return model

    def _text_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What embeds new items, by name; it outlives the network's state."""
        if self._text_mean_F is None or self._projection_FD is None:
            return {}
        return {_TEXT_MEAN: self._text_mean_F, PROJECTION: self._projection_FD}
