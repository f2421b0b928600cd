"""How much an interest point says, how much of an item it is, and where it lies in the embedding space.

Shapes: I items, P points, D dimension.
"""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray


def specificity(num_items_P: IntArray, *, num_items: int) -> npt.NDArray[np.float64]:
    """Smoothed inverse document frequency `ln(1 + num_items / num_items_P)`, above 0, shape [P]."""
    return np.log1p(num_items / np.maximum(num_items_P, 1))


def item_weights(strength_IP: sp.csr_array, *, specificity_P: npt.NDArray[np.float64]) -> sp.csr_array:
    """Strength x specificity, each item's row divided by its L2 norm: in (0, 1], shape [I, P]."""
    weighted = sp.csr_array(strength_IP @ sp.diags_array(specificity_P))
    norm = np.sqrt(np.asarray(weighted.power(2).sum(axis=1)))
    normalised = sp.csr_array(sp.diags_array(1.0 / np.where(norm > 0, norm, 1.0)) @ weighted)
    # Rounding may leave a single weight one bit above its bound.
    normalised.data = np.minimum(normalised.data, 1.0)
    normalised.sort_indices()
    return normalised


def point_vectors(weights_IP: sp.csr_array, *, vectors_ID: FloatArray) -> FloatArray:
    """Unit mean of the items' vectors by weight, shape [P, D]; opposite vectors that cancel leave zeros."""
    sums = np.asarray(weights_IP.T @ vectors_ID.astype(np.float64))
    norm = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(norm > 1e-9, sums / np.maximum(norm, 1e-9), 0.0).astype(np.float32)
