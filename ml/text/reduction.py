"""Fewer numbers per vector: the first ones of a Matryoshka model, or principal components of a catalogue.

Matryoshka: Kusupati et al., arXiv 2205.13147. A projection is a file made once from a catalogue's
vectors (`interest-graph fit-projection`); its hash is part of the embedding space, so that another
projection never meets this one's vectors. Shapes: N vectors, D dimension, K kept.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ml.contracts.files import whole_file
from ml.errors import ConfigError
from ml.ids import FloatArray

BLOCK = 256


@dataclass(frozen=True)
class Projection:
    """Centre and principal directions; `name` is the hash of the file they came from."""

    mean_D: FloatArray
    components_DK: FloatArray
    name: str


def fit_projection(vectors_ND: FloatArray, *, dimension: int) -> tuple[FloatArray, FloatArray]:
    """Mean [D] and first `dimension` principal directions [D, K] of unit vectors, each direction's largest number above 0.

    Raises `ValueError` for more directions than numbers or than vectors.
    """
    if not 0 < dimension <= min(vectors_ND.shape):
        raise ValueError(f"dimension {dimension} is not within 1 to {min(vectors_ND.shape)}, of {vectors_ND.shape[0]} vectors")
    mean_D = vectors_ND.mean(axis=0, dtype=np.float64)
    centred_ND = vectors_ND - mean_D
    _, directions_DD = np.linalg.eigh(centred_ND.T @ centred_ND)
    components_DK = directions_DD[:, ::-1][:, :dimension]
    components_DK = components_DK * np.sign(components_DK[np.abs(components_DK).argmax(axis=0), np.arange(dimension)])
    return mean_D.astype(np.float32), components_DK.astype(np.float32)


def kept_variance(vectors_ND: FloatArray, *, components_DK: FloatArray) -> float:
    """Share of the vectors' variance that lies in the directions, in [0, 1]; 1 where all vectors are the same."""
    centred_ND = vectors_ND - vectors_ND.mean(axis=0, dtype=np.float64)
    total = float((centred_ND**2).sum())
    return float(((centred_ND @ components_DK) ** 2).sum()) / total if total else 1.0


def save_projection(path: Path, *, mean_D: FloatArray, components_DK: FloatArray) -> None:
    """Write a projection as safetensors, whole or not at all."""
    content = save({"mean": np.ascontiguousarray(mean_D), "components": np.ascontiguousarray(components_DK)})
    with whole_file(path) as handle:
        handle.write(content)


def load_projection(path: Path, *, dimension: int) -> Projection:
    """Read a projection for vectors of `dimension` numbers. Raises `ConfigError` for a file that is none, or of another model."""
    try:
        content = load_file(path)
        mean_D, components_DK = content["mean"], content["components"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ConfigError(f"text.projection {path} cannot be read: {error}; make it with `interest-graph fit-projection`") from error
    if mean_D.shape != (dimension,) or components_DK.shape[0] != dimension:
        raise ConfigError(f"text.projection {path} is for vectors of {len(mean_D)} numbers, the model gives {dimension}; fit it anew")
    return Projection(mean_D, components_DK, f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}")


def reduce(vectors_ND: FloatArray, *, projection: Projection | None, dimension: int) -> FloatArray:
    """Unit vectors of `dimension` numbers, shape [N, K]; one that the projection maps to nothing becomes its first direction."""
    if projection is None and dimension == vectors_ND.shape[1]:
        return vectors_ND
    found_NK = vectors_ND[:, :dimension] if projection is None else _projected(vectors_ND, projection=projection)
    norms_N = np.linalg.norm(found_NK, axis=1, keepdims=True)
    first_K = np.eye(1, found_NK.shape[1], dtype=np.float32)
    reduced: FloatArray = np.where(norms_N > 1e-9, found_NK / np.maximum(norms_N, 1e-9), first_K).astype(np.float32)
    return reduced


def _projected(vectors_ND: FloatArray, *, projection: Projection) -> FloatArray:
    """In blocks of one shape, so that a row's bits do not depend on how many others there are."""
    num_blocks = -(-len(vectors_ND) // BLOCK)
    padded = np.zeros((num_blocks * BLOCK, vectors_ND.shape[1]), dtype=np.float32)
    padded[: len(vectors_ND)] = vectors_ND - projection.mean_D
    blocks = [padded[start : start + BLOCK] @ projection.components_DK for start in range(0, len(padded), BLOCK)]
    return np.concatenate([np.zeros((0, projection.components_DK.shape[1]), dtype=np.float32), *blocks])[: len(vectors_ND)]
