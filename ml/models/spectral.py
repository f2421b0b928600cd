"""Where training starts: singular vectors of the behaviour, carried over to text, interests and entities.

A truncated SVD of the normalised matrix is already a good recommender (Shen et al., "How
powerful is graph convolution for recommendation?", CIKM 2021), so that few epochs are left
to learn. Shapes: U users, I items, D embedding size, F text dimensions.
"""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.utils.extmath import randomized_svd

from ml.ids import BoolArray, FloatArray
from ml.models.adjacency import normalize_symmetric

# Root mean square of a starting coordinate: the scale that Adam's step sizes are set for.
COORDINATE_SCALE = 0.1
# Ridge of the text regression, in items (texts are unit vectors).
TEXT_RIDGE = 5.0
_POWER_ITERATIONS = 4

Vectors = npt.NDArray[np.floating]


def spectral_vectors(likes_UI: sp.csr_array, *, embedding_size: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Users' and items' singular vectors of the normalised likes, times root singular values: ([U, D], [I, D]).

    Rows without likes are 0, so are dimensions beyond the rank of the matrix.
    """
    normalized_UI = normalize_symmetric(likes_UI).astype(np.float64)
    left_UD, value_D, right_DI = truncated_svd(normalized_UI, num_vectors=embedding_size, rng=rng)
    root_D = np.sqrt(value_D)
    users_UD, items_ID = left_UD * root_D, right_DI.T * root_D
    return _scaled(users_UD, embedding_size, sp.csr_array(likes_UI)), _scaled(items_ID, embedding_size, sp.csr_array(likes_UI.T))


def truncated_svd(matrix_ST: sp.csr_array, *, num_vectors: int, rng: np.random.Generator) -> tuple[Vectors, Vectors, Vectors]:
    """The largest singular values and their vectors, in the precision of the matrix: ([S, D], [D], [D, T]).

    Halko, Martinsson & Tropp, "Finding structure with randomness", SIAM Review 53(2), 2011.
    D is `num_vectors` or the shorter side, 0 for a matrix without entries.
    """
    num_found = min(num_vectors, *matrix_ST.shape) if matrix_ST.nnz else 0
    if num_found == 0:
        left_SD, value_D, right_DT = (
            np.zeros(shape, dtype=matrix_ST.dtype) for shape in ((matrix_ST.shape[0], 0), 0, (0, matrix_ST.shape[1]))
        )
    else:
        left_SD, value_D, right_DT = randomized_svd(matrix_ST, num_found, n_iter=_POWER_ITERATIONS, random_state=int(rng.integers(2**31)))
    return left_SD, value_D, right_DT


def _scaled(vectors_ND: Vectors, embedding_size: int, likes: sp.csr_array) -> FloatArray:
    """Padded to `embedding_size`, rows without likes at 0, the others at `COORDINATE_SCALE` on average."""
    met_N = np.diff(likes.indptr) > 0
    padded_ND = np.zeros((len(vectors_ND), embedding_size))
    padded_ND[met_N, : vectors_ND.shape[1]] = vectors_ND[met_N]
    scale = np.sqrt(np.square(padded_ND[met_N]).mean()) if met_N.any() else 0.0
    return (padded_ND * (COORDINATE_SCALE / scale if scale > 0 else 0.0)).astype(np.float32)


def text_projection(text_IF: FloatArray, vectors_ID: FloatArray, *, known_I: BoolArray) -> FloatArray:
    """The linear map from text to vector that fits the known items best (ridge regression), shape [F, D]."""
    known_text_NF = text_IF[known_I].astype(np.float64)
    gram_FF = known_text_NF.T @ known_text_NF + TEXT_RIDGE * np.eye(text_IF.shape[1])
    solved_FD = np.linalg.solve(gram_FF, known_text_NF.T @ vectors_ID[known_I].astype(np.float64))
    return np.asarray(solved_FD, dtype=np.float32)


def centered(text_IF: FloatArray, *, mean_F: FloatArray | None = None) -> FloatArray:
    """Texts minus their mean, or another: what is special about an item, not what all texts of a catalogue share.

    Rows of zeros (items without text) stay zero.
    """
    written_I: BoolArray = np.any(text_IF, axis=1)
    shared_F = text_mean(text_IF) if mean_F is None else mean_F
    return np.where(written_I[:, None], text_IF - shared_F, 0.0).astype(np.float32)


def text_mean(text_IF: FloatArray) -> FloatArray:
    """The mean of the rows that are not 0, shape [F]; 0 where there is none."""
    written_I: BoolArray = np.any(text_IF, axis=1)
    mean_F = text_IF[written_I].mean(axis=0, dtype=np.float64) if written_I.any() else np.zeros(text_IF.shape[1])
    return np.asarray(mean_F, dtype=np.float32)
