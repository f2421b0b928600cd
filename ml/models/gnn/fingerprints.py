"""What determines the bits of a fit, as one sha256: a checkpoint of anything else is of no use.

Hashed are the contents that training reads, the settings, the random state before the first
draw, and what decides rounding on a machine: library versions and the number of threads.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import scipy
import scipy.sparse as sp
import torch

from ml.config.pipeline import ModelConfig
from ml.models.gnn.network_state import NetworkState
from ml.models.inputs import ModelInputs

Named = tuple[str, Any]


def fingerprint_of(
    inputs: ModelInputs,
    *,
    model: str,
    config: ModelConfig,
    rng: np.random.Generator,
    validation_UI: sp.csr_array | None = None,
    start: NetworkState | None = None,
) -> str:
    """sha256 over every argument of a fit of the `model` of that name; `rng` is read, not drawn from."""
    settings = _settings(config, rng) | {"model": model}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=_as_list).encode())
    for name, content in [*_of_inputs(inputs), *_of_validation(validation_UI), *_of_state(start)]:
        array = content.to_numpy(zero_copy_only=False) if isinstance(content, pa.Array) else np.ascontiguousarray(content)
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(json.dumps(array.tolist(), ensure_ascii=False).encode() if array.dtype == object else array.tobytes())
    return digest.hexdigest()


def _settings(config: ModelConfig, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "config": config.model_dump(),
        "rng": rng.bit_generator.state,
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.is_available(),
        "versions": [torch.__version__, np.__version__, scipy.__version__],
    }


def _as_list(value: Any) -> Any:
    # Some bit generators keep their state in arrays.
    return value.tolist()


def _of_inputs(inputs: ModelInputs) -> Iterator[Named]:
    yield from _of_sparse("positives", inputs.positives_UI)
    yield from _of_sparse("seen", inputs.seen_UI)
    if inputs.age_UI is not None:
        yield from _of_sparse("ages", inputs.age_UI)
    yield "text", inputs.text_ID
    if inputs.credibility_U is not None:
        yield "credibility", inputs.credibility_U
    for kind, vocabulary in sorted(inputs.graph.vocabularies.items()):
        yield f"{kind} ids", vocabulary.ids
    by_name = sorted((str(edge_type), edges) for edge_type, edges in inputs.graph.edges.items())
    for name, edges in by_name:
        yield from ((f"{name} {field}", getattr(edges, field)) for field in ("source_index", "target_index", "weight"))


def _of_validation(validation_UI: sp.csr_array | None) -> Iterator[Named]:
    if validation_UI is not None:
        yield from _of_sparse("validation", validation_UI)


def _of_state(state: NetworkState | None) -> Iterator[Named]:
    if state is None:
        return
    yield from ((f"start {name}", array) for name, array in sorted(state.arrays.items()))
    yield from ((f"start {kind} ids", ids) for kind, ids in sorted(state.ids.items()))
    yield "start relations", np.array(state.relations, dtype=object)


def _of_sparse(name: str, matrix: sp.csr_array) -> Iterator[Named]:
    yield f"{name} shape", np.array(matrix.shape, dtype=np.int64)
    yield from ((f"{name} {field}", getattr(matrix, field)) for field in ("indptr", "indices", "data"))
