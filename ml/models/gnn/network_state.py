"""A trained network's parameters and what their rows stand for, so that a later fit can start from them.

Parameters alone say nothing a day later, when users and items have other positions: ids do.
Going on after a kill is another matter, see `checkpoints`. Shapes: N nodes, D embedding size, R relations.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.numpy import load_file, save_file

from ml.contracts.files import write_parquet, write_text
from ml.errors import ConfigError, ReleaseError
from ml.ids import BoolArray, FloatArray, Vocabulary
from ml.models.gnn.network import InterestNetwork

ARRAYS_FILE = "network.safetensors"
ABOUT_FILE = "network.json"

PROJECTION = "projection_FD"
_OWN = "own."
_PROPAGATION = "propagation."


@dataclass(frozen=True)
class NetworkState:
    """Parameters by name, float32; `ids[kind]` names the rows of `own.<kind>`, `relations` the relations in their order."""

    arrays: Mapping[str, FloatArray]
    ids: Mapping[str, pa.Array]
    relations: tuple[str, ...]

    @classmethod
    def of(cls, network: InterestNetwork, *, vocabularies: Mapping[str, Vocabulary]) -> Self:
        """A copy of a network's parameters; `vocabularies` by node type, as it was built with."""
        arrays = {name: value.detach().cpu().numpy().astype(np.float32) for name, value in network.state_dict().items()}
        ids = {kind: vocabularies[kind].ids for kind in network.own}
        return cls(arrays, ids, tuple(map(str, network.propagation.relations)))

    def save(self, directory: Path) -> None:
        """Write arrays as safetensors, ids as Parquet, relations as JSON; equal states give equal bytes."""
        directory.mkdir(parents=True, exist_ok=True)
        save_file({name: np.ascontiguousarray(array) for name, array in self.arrays.items()}, directory / ARRAYS_FILE)
        for kind, ids in self.ids.items():
            write_parquet(pa.table({"id": ids}), directory / f"{kind}.parquet")
        about = {"kinds": sorted(self.ids), "relations": self.relations}
        write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", directory / ABOUT_FILE)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """What `save` wrote; raises `ReleaseError` where it wrote nothing."""
        path = directory / ABOUT_FILE
        if not path.exists():
            raise ReleaseError(
                f"{directory} holds no network to start from ({ABOUT_FILE} is missing); fit a model from nothing and save it"
            )
        about = json.loads(path.read_text(encoding="utf-8"))
        ids = {
            kind: pq.read_table(directory / f"{kind}.parquet", partitioning=None).column("id").combine_chunks() for kind in about["kinds"]
        }
        return cls(load_file(directory / ARRAYS_FILE), ids, tuple(about["relations"]))


@torch.no_grad()
def start_from(network: InterestNetwork, state: NetworkState, *, vocabularies: Mapping[str, Vocabulary]) -> None:
    """Set a freshly built network to an older one's parameters, in place, wherever the older one had learned something.

    Known ids get their old rows, known relations their old weights, projections are taken over. Other
    rows (and those that were 0, never learned) stay as built, but turned into the old coordinates:
    singular vectors of two days differ by a rotation, which is the orthogonal Procrustes solution
    (Schönemann, Psychometrika 1966) over the rows known to both. Raises `ConfigError` for another shape.
    """
    _require_same_shape(network, state)
    built = {kind: own.detach().cpu().numpy() for kind, own in network.own.items()}
    known = {kind: _known_rows(state, kind, ids=vocabularies[kind].ids, size=built_ND.shape[1]) for kind, built_ND in built.items()}
    rotation_DD = _rotation([(built[kind], *known[kind]) for kind in ("user", "item")])
    for kind, (old_ND, learned_N) in known.items():
        rows_ND = np.where(learned_N[:, None], old_ND, built[kind] @ rotation_DD)
        network.own[kind].copy_(torch.from_numpy(rows_ND))
    network.projection_FD.copy_(torch.from_numpy(state.arrays[PROJECTION]))
    network.propagation.take_over(_of_propagation(state), relations=state.relations)


def _of_propagation(state: NetworkState) -> dict[str, FloatArray]:
    return {name.removeprefix(_PROPAGATION): array for name, array in state.arrays.items() if name.startswith(_PROPAGATION)}


def _known_rows(state: NetworkState, kind: str, *, ids: pa.Array, size: int) -> tuple[FloatArray, BoolArray]:
    """Old rows of `ids`, [N, D] (0 where there is none), and where something had been learned, [N]."""
    rows_ND = np.zeros((len(ids), size), dtype=np.float32)
    if kind in state.ids:
        positions_N, is_known_N = Vocabulary(kind, state.ids[kind]).find(ids)
        rows_ND[is_known_N] = state.arrays[f"{_OWN}{kind}"][positions_N[is_known_N]]
    learned_N: BoolArray = np.any(rows_ND, axis=1)
    return rows_ND, learned_N


def _rotation(pairs: Sequence[tuple[FloatArray, FloatArray, BoolArray]]) -> FloatArray:
    """The orthogonal matrix that turns built rows into old ones best, over the rows that were learned, [D, D]."""
    covariance_DD = sum(built_ND[learned_N].astype(np.float64).T @ old_ND[learned_N] for built_ND, old_ND, learned_N in pairs)
    left_DD, _, right_DD = np.linalg.svd(covariance_DD)
    return np.asarray(left_DD @ right_DD, dtype=np.float32)


def _require_same_shape(network: InterestNetwork, state: NetworkState) -> None:
    own = {name: value.detach().cpu().numpy() for name, value in network.propagation.state_dict().items()}
    built = (tuple(network.projection_FD.shape), network.propagation.num_layers_of(own))
    old = (state.arrays[PROJECTION].shape, network.propagation.num_layers_of(_of_propagation(state)))
    if built != old:
        raise ConfigError(
            f"the network to start from maps {old[0][0]} text dimensions to {old[0][1]} over {old[1]} layer(s), this one "
            f"{built[0][0]} to {built[0][1]} over {built[1]}; after a change of model.embedding_size, model.num_layers or the "
            "text model, fit from nothing"
        )
