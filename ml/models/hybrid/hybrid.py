"""The hybrid as a recommender: fit its models, choose on the validation slice, answer with one score.

How opinions are pooled is `pool`, how candidates are ordered `ranker`, what was chosen `choices`. Shapes: B batch of
users, U users, I items.
"""

import json
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from ml.config.pipeline import HybridConfig, ModelConfig
from ml.contracts.files import write_text
from ml.epochs.course import Epoch, Progress
from ml.errors import ConfigError
from ml.ids import FloatArray, IntArray
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.gnn.lightgcn import LightGCN
from ml.models.gnn.network_state import NetworkState
from ml.models.histories import Histories
from ml.models.hybrid.affinities import Affinities
from ml.models.hybrid.answers import calibrated, ranked_lift
from ml.models.hybrid.choices import Choices
from ml.models.hybrid.choosing import Slice, choose_all, equal_opinions
from ml.models.hybrid.components import COMPONENTS
from ml.models.hybrid.readings import unit_of
from ml.models.inputs import ModelInputs
from ml.models.recommender import Recommender, require_known_users, require_same_items
from ml.models.storage import load_model, save_model, sparse_from_arrays, sparse_to_arrays
from ml.models.validation import Validation

POOL_NAME = "hybrid_without_ranker"
# Users answered at once: a block is held once per model.
_BLOCK_SIZE = 256
# Users whose scores say what a model's evidence is measured in.
_UNIT_USERS = 256
_CHOICES, _HISTORY, _AGE, _MET = "choices.json", "history", "age", "met"


class Hybrid:
    """Several models pooled and ordered; scores in [-1, 1], comparable between users.

    0 is as likely liked as an item drawn at random, 1 surely, -1 surely not.
    """

    name: ClassVar[str] = "hybrid"

    def __init__(self, models: Mapping[str, Recommender], *, config: HybridConfig | None = None, choices: Choices | None = None) -> None:
        """Unfitted `models`, by their names in `COMPONENTS`; `choices` of an earlier fit are kept, without them all count the same."""
        self.models = dict(models)
        self.config = config or HybridConfig()
        self.choices = choices or Choices(equal_opinions({name: COMPONENTS[name].scale for name in models}))
        if set(self.choices.opinions) != set(models):
            raise ConfigError(
                f"choices are about {', '.join(self.choices.opinions)}, the models are {', '.join(models)}; "
                "choose anew on a validation slice"
            )
        self._histories = Histories(sp.csr_array((0, 0), dtype=np.float32))
        self._met_UI = sp.csr_array((0, 0), dtype=np.float32)
        self._affinities = Affinities.nothing()

    @classmethod
    def of(cls, config: HybridConfig, *, model: ModelConfig, choices: Choices | None = None) -> Self:
        """The models that `config` names, unfitted; `model` are the graph neural network's settings."""
        return cls({name: COMPONENTS[name].make(model) for name in config.models}, config=config, choices=choices)

    @property
    def gnn(self) -> InterestGNN | None:
        """The graph neural network among the models, None where it is none of them."""
        found = self.models.get(InterestGNN.name)
        return found if isinstance(found, InterestGNN) else None

    @property
    def histories(self) -> Histories:
        """What the users of fit like."""
        return self._histories

    @property
    def met_UI(self) -> sp.csr_array:
        """Above 0 where a user of fit met an item."""
        return self._met_UI

    @property
    def history(self) -> tuple[Epoch, ...]:
        """How the graph neural network's training went."""
        return self.gnn.history if self.gnn else ()

    def forget_network_state(self) -> None:
        """Drop what a later fit could start from."""
        if self.gnn:
            self.gnn.network_state = None

    @property
    def user_vectors(self) -> FloatArray:
        """The graph neural network's, shape [U, D]; D is 0 without one."""
        return self.gnn.user_vectors if self.gnn else np.zeros((len(self._histories), 0), dtype=np.float32)

    @property
    def item_vectors(self) -> FloatArray:
        """The graph neural network's, shape [I, D]; D is 0 without one."""
        return self.gnn.item_vectors if self.gnn else np.zeros((self._histories.positives_UI.shape[1], 0), dtype=np.float32)

    def fit(
        self,
        inputs: ModelInputs,
        *,
        rng: np.random.Generator,
        validation_UI: sp.csr_array | None = None,
        progress: Progress | None = None,
        start: NetworkState | None = None,
        checkpoints: Path | None = None,
    ) -> Self:
        """Fit every model; with `validation_UI` (new likes, in the inputs' vocabularies), choose weights, ranker and scale.

        `start` and `checkpoints` are the graph neural network's, see there.
        """
        seed = int(rng.integers(2**63))
        for model in self.models.values():
            own_rng = np.random.default_rng([seed, *model.name.encode()])
            if isinstance(model, InterestGNN):
                model.fit(inputs, rng=own_rng, validation_UI=validation_UI, progress=progress, start=start, checkpoints=checkpoints)
            else:
                model.fit(inputs, rng=own_rng)
        self._histories, self._met_UI = inputs.histories, inputs.seen_UI
        is_choosing = validation_UI is not None and validation_UI.nnz > 0
        needs_affinities = self.choices.ranker is not None or (is_choosing and self.config.max_trees > 0)
        self._affinities = Affinities.of(inputs) if needs_affinities else Affinities.nothing()
        units = self._units(np.random.default_rng(seed))
        if is_choosing:
            validation = Validation.prepare(validation_UI, seen_UI=inputs.seen_UI, rng=rng)
            self.choices = self._choose(validation, units=units, seed=seed % 2**31)
        if not self.choices.ranker:
            # Only a ranker reads them; a release need not carry them.
            self._affinities = Affinities.nothing()
        self.choices = self.choices.measured_in(units)
        return self

    def _units(self, rng: np.random.Generator) -> dict[str, float]:
        """What each model's evidence is measured in: scores grow with the number of users, at a pace of their own."""
        users = np.flatnonzero(np.diff(self._histories.positives_UI.indptr)).astype(np.int64)
        sampled = np.sort(rng.choice(users, min(len(users), _UNIT_USERS), replace=False))
        return {name: unit_of(model.score(sampled)) for name, model in self.models.items()}

    def _choose(self, validation: Validation, *, units: Mapping[str, float], seed: int) -> Choices:
        found = Slice(
            validation=validation,
            scores=lambda user_index: {name: model.score(user_index) for name, model in self.models.items()},
            scales={name: COMPONENTS[name].scale for name in self.models},
            units=units,
            histories=self._histories,
        )
        return choose_all(found, affinities=self._affinities, config=self.config, seed=seed)

    def stages(self) -> dict[str, Recommender]:
        """What the last stages are measured against: the graph neural network alone and, where there is a ranker, the pool."""
        found: dict[str, Recommender] = {self.gnn.name: self.gnn} if self.gnn else {}
        if self.choices.ranker:
            pool = copy(self)
            pool.choices = replace(self.choices, ranker=None)
            found[POOL_NAME] = pool
        return found

    def score(self, user_index: IntArray) -> FloatArray:
        """Scores in [-1, 1], shape [B, I]."""
        require_known_users(user_index, num_users=len(self._histories))
        scores_BI = np.empty((len(user_index), self._histories.positives_UI.shape[1]), dtype=np.float32)
        for block in _blocks(len(user_index)):
            block_index = user_index[block]
            scores = {name: model.score(block_index) for name, model in self._asked().items()}
            scores_BI[block] = self._answer(scores, histories=self._histories.take(block_index), met_BI=self._met_UI[block_index])
        return scores_BI

    def fold_in(self, histories: Histories, *, met_BI: sp.csr_array | None = None, items: IntArray | None = None) -> FloatArray:
        """As `score`, for new users, of all items [B, I] or of these [B, K]; `met_BI` marks what they met, None: what they like alone.

        Evidence is shared among what was not met, so scores depend on it. Raises `ValueError` for `met_BI` of another shape.
        """
        require_same_items(histories, num_items=self._histories.positives_UI.shape[1])
        if met_BI is not None and met_BI.shape != histories.positives_UI.shape:
            raise ValueError(f"met_BI has shape {met_BI.shape}, the histories {histories.positives_UI.shape}; both need the same users")
        if len(histories) <= _BLOCK_SIZE:
            return self._folded(histories, met_BI, items)
        blocks = [
            self._folded(histories.take(rows), None if met_BI is None else met_BI[rows], items)
            for rows in (np.arange(len(histories))[block] for block in _blocks(len(histories)))
        ]
        return np.concatenate(blocks)

    def _folded(self, histories: Histories, met_BI: sp.csr_array | None, items: IntArray | None) -> FloatArray:
        scores = {name: model.fold_in(histories) for name, model in self._asked().items()}
        met_BI = histories.liked_UI if met_BI is None else met_BI
        return self._answer(scores, histories=histories, met_BI=met_BI, asked=slice(None) if items is None else items)

    def in_world(self, inputs: ModelInputs, *, seed: int) -> Self:
        """The hybrid as it would be over other edges of the same users and items: what it learned stays, what is computed from them is new.

        Models that solve or count are fitted again; the network keeps its parameters and is propagated over the new graph, as in
        CF-GNNExplainer (Lucic et al., AISTATS 2022): trained again it would move by chance as well. Two calls with one seed differ by
        their inputs alone. Raises `ConfigError` for a pool with another network, `ReleaseError` for one saved without its network.
        """
        if LightGCN.name in self.models:
            raise ConfigError(f"{LightGCN.name} cannot be propagated over other edges; ask a hybrid without it")
        world = copy(self)
        world.models = {
            name: model.propagated_over(inputs)
            if isinstance(model, InterestGNN)
            else copy(model).fit(inputs, rng=np.random.default_rng(seed))
            for name, model in self._asked().items()
        }
        world._histories, world._met_UI = inputs.histories, inputs.seen_UI
        world._affinities = Affinities.of(inputs) if self.choices.ranker else Affinities.nothing()
        return world

    def _asked(self) -> dict[str, Recommender]:
        """The models whose opinion the answer reads: only a ranker reads those that count nothing in the pool."""
        opinions, all_are = self.choices.opinions, self.choices.ranker is not None
        return {name: model for name, model in self.models.items() if all_are or opinions[name].weight > 0}

    def _answer(
        self, scores: Mapping[str, FloatArray], *, histories: Histories, met_BI: sp.csr_array, asked: IntArray | slice = slice(None)
    ) -> FloatArray:
        lift_BI = ranked_lift(
            scores,
            choices=self.choices,
            affinities=self._affinities,
            histories=histories,
            met_BI=met_BI,
            num_candidates=self.config.num_candidates,
            asked=asked,
        )
        return calibrated(lift_BI, choices=self.choices)

    def save(self, directory: Path) -> None:
        """Write histories, what is known of items, the choices, and every model in a folder of its own."""
        arrays = sparse_to_arrays(self._histories.positives_UI, prefix=_HISTORY) | sparse_to_arrays(self._met_UI, prefix=_MET)
        if self._histories.age_UI is not None:
            arrays |= sparse_to_arrays(self._histories.age_UI, prefix=_AGE)
        if self._affinities is not None:
            arrays |= self._affinities.to_arrays()
        save_model(directory, name=self.name, parameters={}, arrays=arrays)
        about = {"config": self.config.model_dump(mode="json"), "models": list(self.models), "choices": self.choices.to_json()}
        write_text(json.dumps(about, indent=2, ensure_ascii=False), directory / _CHOICES)
        for name, model in self.models.items():
            model.save(directory / name)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote."""
        _, arrays = load_model(directory, name=cls.name)
        about = json.loads((directory / _CHOICES).read_text(encoding="utf-8"))
        models = {name: COMPONENTS[name].model.load(directory / name) for name in about["models"]}
        model = cls(models, config=HybridConfig.model_validate(about["config"]), choices=Choices.from_json(about["choices"]))
        age_UI = sparse_from_arrays(arrays, prefix=_AGE) if f"{_AGE}.data" in arrays else None
        model._histories = Histories(sparse_from_arrays(arrays, prefix=_HISTORY), age_UI)
        model._met_UI = sparse_from_arrays(arrays, prefix=_MET)
        model._affinities = Affinities.from_arrays(arrays)
        return model


def _blocks(num_rows: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK_SIZE) for start in range(0, num_rows, _BLOCK_SIZE))
