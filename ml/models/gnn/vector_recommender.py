"""What recommenders by node vectors have in common: how they are fitted, scored, chosen on the validation slice and stored.

The networks are another matter (`node_network`), so are a model's own inputs and extras; the score is defined here.
Shapes: B batch of users, U users, I items, D embedding size.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from ml.config.pipeline import ModelConfig
from ml.epochs.checkpoints import Checkpoints
from ml.epochs.course import AfterEpoch, Epoch, Progress, best_epoch
from ml.errors import ReleaseError
from ml.ids import FloatArray, IntArray
from ml.models.device import resolve_device
from ml.models.few_items import product
from ml.models.gnn.fitting import train
from ml.models.gnn.folding import folding_messages
from ml.models.gnn.node_network import NodeNetwork
from ml.models.gnn.own_negatives import own_negatives
from ml.models.gnn.propagation import Vectors
from ml.models.gnn.relations import likes, to_power
from ml.models.gnn.sampling import likes_to_learn
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs
from ml.models.recommender import require_known_users, require_same_items
from ml.models.storage import Arrays
from ml.models.validation import Validation, choose
from ml.unit_rows import unit_rows

# Multiples of the configured popularity correction that are tried on the validation slice.
_FACTORS = (0.0, 0.25, 0.5, 0.75, 1.25, 1.5, 2.0)

Network = TypeVar("Network", bound=NodeNetwork)
Config = TypeVar("Config", bound=ModelConfig)


class VectorRecommender(Generic[Config]):
    """`score = cosine(user, item) / temperature + correction x log(1 + popularity)`: logits, comparable within a user.

    Popularity is the sum of faded likes, in likes.
    """

    name: ClassVar[str]

    def __init__(self, config: Config) -> None:
        """Unfitted. After `fit`, `chosen_config` is `config` with what the validation slice chose."""
        self.config = config
        self.chosen_config = config
        self.history: tuple[Epoch, ...] = ()
        self._user_vectors_UD: FloatArray = np.zeros((0, 0), dtype=np.float32)
        self._item_vectors_ID: FloatArray = np.zeros((0, 0), dtype=np.float32)
        self._item_messages_ID: FloatArray | None = np.zeros((0, 0), dtype=np.float32)
        self._popularity_I: FloatArray = np.zeros(0, dtype=np.float32)
        self._correction = config.popularity_correction

    def as_chosen(self) -> Self:
        """Unfitted, with the settings that the last fit chose."""
        return type(self)(self.chosen_config)

    @property
    def user_vectors(self) -> FloatArray:
        """Unit vectors, 0 for users nothing is known of, shape [U, D]."""
        return self._user_vectors_UD

    @property
    def item_vectors(self) -> FloatArray:
        """Unit vectors, 0 for items nothing is known of, shape [I, D]."""
        return self._item_vectors_ID

    def score(self, user_index: IntArray) -> FloatArray:
        """Logits, shape [B, I]."""
        require_known_users(user_index, num_users=len(self._user_vectors_UD))
        return self._logits(self._user_vectors_UD[user_index])

    def fold_in(self, histories: Histories) -> FloatArray:
        """Logits for users who were not there, shape [B, I].

        Their vector is `normalize(sum over liked items of faded weight x message)`: see `folding`.
        Raises `ReleaseError` for a model that was saved before items' messages were.
        """
        require_same_items(histories, num_items=len(self._item_vectors_ID))
        if self._item_messages_ID is None:
            raise ReleaseError(f"this {self.name} was saved before new users could be folded in; fit and save it again")
        weight_BI = to_power(histories.positives_UI, self.config.edge_weight_power)
        return self._logits(unit_rows(product(weight_BI, self._item_messages_ID)))

    def _logits(self, user_vectors_BD: FloatArray) -> FloatArray:
        scores_BI: FloatArray = user_vectors_BD @ self._item_vectors_ID.T
        scores_BI /= np.float32(self.config.temperature)
        scores_BI += np.float32(self._correction) * self._popularity_I
        return scores_BI

    def _fit(
        self,
        build: Callable[[torch.device], Network],
        inputs: ModelInputs,
        *,
        rng: np.random.Generator,
        validation: Validation | None,
        checkpoints: Checkpoints | None,
        progress: Progress | None,
        after_epoch: AfterEpoch | None = None,
    ) -> Network:
        """Build a network, train it, take its vectors and choose."""
        device = resolve_device(self.config.device)
        network = build(device)
        self._popularity_I, self._correction = log_popularity(inputs), self.config.popularity_correction

        def validate(vectors: Vectors) -> float:
            self._take(vectors)
            return float(validation.ndcg(self.score).mean()) if validation else 0.0

        self.history = train(
            network,
            likes_to_learn(inputs, weight_power=self.config.like_weight_power),
            config=self.config,
            generator=torch.Generator().manual_seed(int(rng.integers(2**63))),
            device=device,
            own=own_negatives(inputs, config=self.config),
            validate=validate if validation else None,
            checkpoints=checkpoints,
            progress=progress,
            after_epoch=after_epoch,
        )
        self._finish(network, inputs, validation)
        return network

    def _finish(self, network: NodeNetwork, inputs: ModelInputs, validation: Validation | None) -> None:
        self._take(network.unit_vectors())
        self._item_messages_ID = folding_messages(
            network.item_messages().cpu().numpy(),
            likes_UI=likes(inputs, power=self.config.edge_weight_power),
            user_vectors_UD=self._user_vectors_UD,
        )
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

    def _arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What scores, by name, as `_read_arrays` takes it."""
        found: dict[str, npt.NDArray[np.generic]] = {
            "user_vectors": self._user_vectors_UD,
            "item_vectors": self._item_vectors_ID,
            "log_popularity": self._popularity_I,
        }
        return found if self._item_messages_ID is None else found | {"item_messages": self._item_messages_ID}

    def _read_arrays(self, arrays: Arrays) -> None:
        self._correction = self.config.popularity_correction
        self._user_vectors_UD = arrays["user_vectors"].astype(np.float32, copy=False)
        self._item_vectors_ID = arrays["item_vectors"].astype(np.float32, copy=False)
        self._popularity_I = arrays["log_popularity"].astype(np.float32, copy=False)
        self._item_messages_ID = arrays["item_messages"].astype(np.float32, copy=False) if "item_messages" in arrays else None


def checkpoints_of(folder: Path | None, fingerprint: Callable[[], str]) -> Checkpoints | None:
    """The checkpoints in a folder, where one is given; only then is the fingerprint worked out."""
    return Checkpoints(folder, fingerprint=fingerprint()) if folder else None


def below(parameters: Mapping[str, str | int | float], prefix: str) -> dict[str, str | int | float]:
    """The parameters whose names begin with `prefix`, by the rest of the name."""
    return {key.removeprefix(prefix): value for key, value in parameters.items() if key.startswith(prefix)}


def log_popularity(inputs: ModelInputs) -> FloatArray:
    """`log(1 + popularity)` of every item, shape [I]: its share of all faded likes, times the number of likes.

    In likes, so that 1 is one like of average age, whatever the half-life; 0 for an item nobody likes.
    """
    faded_I = np.asarray(inputs.positives_UI.sum(axis=0, dtype=np.float64)).reshape(-1)
    total = faded_I.sum()
    popularity_I = faded_I * (inputs.positives_UI.nnz / total) if total > 0 else faded_I
    return np.asarray(np.log1p(popularity_I), dtype=np.float32)
