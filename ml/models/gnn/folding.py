"""Vectors of users and items that were not there when a network was trained.

A new user has no learned vector: propagation brings them `sum over liked items of weight / sqrt(item degree) x what
the item tells` (their own degree is the same for all of it, and the length is set to 1 anyway). What a learned vector would have added
is estimated from it, by the linear map that fits the users of fit best. Shapes: U users, I items, N rows, D embedding size.
"""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ml.ids import FloatArray
from ml.unit_rows import unit_rows

Matrix = npt.NDArray[np.floating]

# Ridge of that map, in users (their vectors have length 1).
_RIDGE = 1.0


def folding_messages(told_ID: FloatArray, *, likes_UI: sp.csr_array, user_vectors_UD: FloatArray) -> FloatArray:
    """What each item adds to a new user's vector, by weight of the like, shape [I, D].

    `told_ID` is what items tell before degrees, `likes_UI` the edges of fit, `user_vectors_UD` what came of them.
    """
    degree_I = np.asarray(likes_UI.sum(axis=0, dtype=np.float64)).reshape(-1)
    messages_ID = told_ID / np.sqrt(np.where(degree_I > 0, degree_I, 1.0))[:, None]
    return np.asarray(messages_ID @ _map_to(user_vectors_UD, unit_rows(likes_UI @ messages_ID)), dtype=np.float32)


def _map_to(vectors_ND: FloatArray, from_ND: FloatArray) -> Matrix:
    """Ridge regression towards the identity, shape [D, D]: where little is known, nothing is added."""
    exact_ND = from_ND.astype(np.float64)
    ridge_DD = _RIDGE * np.eye(exact_ND.shape[1])
    return np.linalg.solve(exact_ND.T @ exact_ND + ridge_DD, exact_ND.T @ vectors_ND.astype(np.float64) + ridge_DD)
