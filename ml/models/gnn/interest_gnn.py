"""The interest-graph GNN as a recommender: fit, score, vectors, save, load.

What is trained is `network`, how `fitting`; the choice of this set-up, with figures, is
docs/adr/0003-model-default.md. Shapes: B batch of users, U users, I items, D embedding size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch

from ml.config.pipeline import ModelConfig
from ml.epochs.checkpoints import Checkpoints
from ml.epochs.course import AfterEpoch, Epoch, Progress, best_epoch
from ml.ids import FloatArray, IntArray
from ml.models.device import resolve_device
from ml.models.gnn.fingerprints import fingerprint_of
from ml.models.gnn.fitting import train
from ml.models.gnn.network import InterestNetwork
from ml.models.gnn.network_state import NetworkState, start_from
from ml.models.gnn.propagation import Propagation, TypedPropagation, Vectors
from ml.models.gnn.sampling import likes_to_learn
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs
from ml.models.recommender import require_known_users, require_same_items
from ml.models.storage import load_model, save_model
from ml.models.validation import Validation, choose
from ml.ranking.factors import Factors

# Multiples of the configured popularity correction that are tried on the validation slice.
_FACTORS = (0.0, 0.25, 0.5, 0.75, 1.25, 1.5, 2.0)

_CONFIG = "config/"
_RELATION = "relation_weight/"
_NETWORK = "network"


class InterestGNN:
    """Vectors of users and items, propagated over the interest graph, and the items' popularity.

    `score = cosine / temperature + correction x log(1 + popularity)`: logits, comparable within
    a user. Popularity is the sum of faded likes, in likes. A user without likes has the vector
    of their interests; one without either is scored by popularity alone.
    """

    name: ClassVar[str] = "interest_gnn"
    propagation: ClassVar[type[Propagation]] = TypedPropagation

    def __init__(self, config: ModelConfig | None = None) -> None:
        """Unfitted. After `fit`, `chosen_config` is `config` with what the validation slice chose.

        `network_state` is then what a later fit can start from.
        """
        self.config = config or ModelConfig()
        self.chosen_config = self.config
        self.history: tuple[Epoch, ...] = ()
        self.relation_weights: dict[str, float] = {}
        self.network_state: NetworkState | None = None
        self._user_vectors_UD: FloatArray = np.zeros((0, 0), dtype=np.float32)
        self._item_vectors_ID: FloatArray = np.zeros((0, 0), dtype=np.float32)
        self._popularity_I: FloatArray = np.zeros(0, dtype=np.float32)
        self._correction = self.config.popularity_correction

    @property
    def user_vectors(self) -> FloatArray:
        """Unit vectors, 0 for users nothing is known of, shape [U, D]."""
        return self._user_vectors_UD

    @property
    def item_vectors(self) -> FloatArray:
        """Unit vectors, 0 for items nothing is known of, shape [I, D]."""
        return self._item_vectors_ID

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
        device = resolve_device(self.config.device)
        kept = (
            Checkpoints(
                checkpoints,
                fingerprint=fingerprint_of(inputs, config=self.config, rng=rng, validation_UI=validation_UI, start=start, model=self.name),
            )
            if checkpoints
            else None
        )
        validation = None if validation_UI is None else Validation.prepare(validation_UI, seen_UI=inputs.seen_UI, rng=rng)
        network = InterestNetwork(inputs, config=self.config, rng=rng, device=device, propagation=self.propagation)
        if start is not None:
            start_from(network, start, vocabularies=inputs.graph.vocabularies)
        self._popularity_I = log_popularity(inputs)
        self._correction = self.config.popularity_correction

        def validate(vectors: Vectors) -> float:
            self._take(vectors)
            return float(validation.ndcg(self.score).mean()) if validation else 0.0

        self.history = train(
            network,
            likes_to_learn(inputs, weight_power=self.config.like_weight_power),
            config=self.config,
            generator=torch.Generator().manual_seed(int(rng.integers(2**63))),
            device=device,
            validate=validate if validation else None,
            checkpoints=kept,
            progress=progress,
            after_epoch=after_epoch,
        )
        self._finish(network, inputs, validation)
        return self

    def _finish(self, network: InterestNetwork, inputs: ModelInputs, validation: Validation | None) -> None:
        self._take(network.unit_vectors())
        self.relation_weights = network.propagation.named_weights()
        self.network_state = NetworkState.of(network, vocabularies=inputs.graph.vocabularies)
        if validation:
            self._correction = self._choose_correction(validation)
        self.chosen_config = self.config.model_copy(
            update={"epochs": max(best_epoch(self.history), 1), "popularity_correction": self._correction}
        )

    def _take(self, vectors: Vectors) -> None:
        self._user_vectors_UD = vectors["user"].cpu().numpy()
        self._item_vectors_ID = vectors["item"].cpu().numpy()

    def _choose_correction(self, validation: Validation) -> float:
        """The configured strength, or the multiple of it that is best and better beyond doubt."""

        def ndcg(strength: float) -> npt.NDArray[np.float64]:
            self._correction = strength
            return validation.ndcg(self.score)

        usual = self.config.popularity_correction
        return usual * choose(lambda factor: ndcg(usual * factor), usual=1.0, others=_FACTORS)

    def score(self, user_index: IntArray) -> FloatArray:
        """Logits, shape [B, I]."""
        require_known_users(user_index, num_users=len(self._user_vectors_UD))
        return self._logits(self._user_vectors_UD[user_index])

    def fold_in(self, histories: Histories) -> FloatArray:
        """Logits for users who were not there: their vector is the middle of what they like, faded likes less, shape [B, I]."""
        require_same_items(histories, num_items=len(self._item_vectors_ID))
        weight_BI = histories.positives_UI.astype(np.float64).power(self.config.edge_weight_power)
        sums_BD = weight_BI @ self._item_vectors_ID
        length_B1 = np.linalg.norm(sums_BD, axis=1, keepdims=True)
        return self._logits((sums_BD / np.where(length_B1 > 0, length_B1, 1.0)).astype(np.float32))

    def _logits(self, user_vectors_BD: FloatArray) -> FloatArray:
        cosine_BI = user_vectors_BD @ self._item_vectors_ID.T
        scores_BI: FloatArray = cosine_BI / np.float32(self.config.temperature) + np.float32(self._correction) * self._popularity_I
        return scores_BI

    @property
    def factors(self) -> Factors:
        """The same logits as products of vectors."""
        users_UD = self._user_vectors_UD / np.float32(self.config.temperature)
        return Factors(users_UD, self._item_vectors_ID, np.float32(self._correction) * self._popularity_I)

    def save(self, directory: Path) -> None:
        """Write the final vectors and settings, which score, and the network's state, which a later fit starts from."""
        chosen = {f"{_CONFIG}{key}": value for key, value in self.chosen_config.model_dump().items()}
        weights = {f"{_RELATION}{name}": weight for name, weight in self.relation_weights.items()}
        arrays = {"user_vectors": self._user_vectors_UD, "item_vectors": self._item_vectors_ID, "log_popularity": self._popularity_I}
        save_model(directory, name=self.name, parameters=chosen | weights, arrays=arrays)
        if self.network_state is not None:
            self.network_state.save(directory / _NETWORK)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote; the training history is not part of it, nor is the network of a model older than warm starts."""
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls(ModelConfig.model_validate(_below(parameters, _CONFIG)))
        model.relation_weights = {name: float(weight) for name, weight in _below(parameters, _RELATION).items()}
        model.network_state = NetworkState.load(directory / _NETWORK) if (directory / _NETWORK).exists() else None
        model._correction = model.config.popularity_correction
        model._user_vectors_UD = arrays["user_vectors"].astype(np.float32, copy=False)
        model._item_vectors_ID = arrays["item_vectors"].astype(np.float32, copy=False)
        model._popularity_I = arrays["log_popularity"].astype(np.float32, copy=False)
        return model


def _below(parameters: Mapping[str, str | int | float], prefix: str) -> dict[str, str | int | float]:
    return {key.removeprefix(prefix): value for key, value in parameters.items() if key.startswith(prefix)}


def log_popularity(inputs: ModelInputs) -> FloatArray:
    """`log(1 + popularity)` of every item, shape [I]: its share of all faded likes, times the number of likes.

    In likes, so that 1 is one like of average age, whatever the half-life; 0 for an item nobody likes.
    """
    faded_I = np.asarray(inputs.positives_UI.sum(axis=0, dtype=np.float64)).reshape(-1)
    total = faded_I.sum()
    popularity_I = faded_I * (inputs.positives_UI.nnz / total) if total > 0 else faded_I
    return np.asarray(np.log1p(popularity_I), dtype=np.float32)
