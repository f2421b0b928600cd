"""How a fitted model reaches a directory and comes back: arrays as safetensors, parameters as JSON.

No pickle, so that loading a model never runs code. What a model stores is its own business.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from safetensors.numpy import load_file, save_file

from ml.errors import ReleaseError

ARRAYS_FILE = "arrays.safetensors"
PARAMETERS_FILE = "model.json"

Arrays = Mapping[str, npt.NDArray[np.generic]]
Parameters = Mapping[str, str | int | float]


def save_model(directory: Path, *, name: str, parameters: Parameters, arrays: Arrays) -> None:
    """Write a model called `name`; equal contents give equal bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, directory / ARRAYS_FILE)
    description = json.dumps({"model": name, "parameters": dict(parameters)}, indent=2, sort_keys=True, ensure_ascii=False)
    (directory / PARAMETERS_FILE).write_text(description + "\n", encoding="utf-8")


def load_model(directory: Path, *, name: str) -> tuple[dict[str, str | int | float], dict[str, npt.NDArray[np.generic]]]:
    """Parameters and arrays of the model that `save_model` wrote as `name`.

    Raises `ReleaseError` where the directory holds no model or another one.
    """
    path = directory / PARAMETERS_FILE
    if not path.exists():
        raise ReleaseError(f"{directory} holds no saved model ({PARAMETERS_FILE} is missing); save one there first")
    description = json.loads(path.read_text(encoding="utf-8"))
    if description["model"] != name:
        raise ReleaseError(f"{directory} holds the model {description['model']}, not {name}; load it with its own class")
    return description["parameters"], load_file(directory / ARRAYS_FILE)


def sparse_to_arrays(matrix: sp.csr_array, *, prefix: str) -> dict[str, npt.NDArray[np.generic]]:
    """The four arrays of a sparse matrix, keyed `<prefix>.data` and so on."""
    return {
        f"{prefix}.data": matrix.data,
        f"{prefix}.indices": matrix.indices,
        f"{prefix}.indptr": matrix.indptr,
        f"{prefix}.shape": np.array(matrix.shape, dtype=np.int64),
    }


def sparse_from_arrays(arrays: Arrays, *, prefix: str) -> sp.csr_array:
    """The sparse matrix that `sparse_to_arrays` took apart."""
    parts = (arrays[f"{prefix}.data"], arrays[f"{prefix}.indices"], arrays[f"{prefix}.indptr"])
    return sp.csr_array(parts, shape=tuple(arrays[f"{prefix}.shape"].tolist()))
