"""What users wrote themselves as one vector each: the table `user_text_embeddings`."""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.contracts.contract import STRING, TIMESTAMP, check_no_leakage
from ml.contracts.meaning import USER_TEXT_EMBEDDINGS
from ml.contracts.vectors import matrix_to_vectors
from ml.days import SECONDS_PER_DAY
from ml.ids import FloatArray, IntArray, Vocabulary
from ml.text.cache import EmbeddingCache, EmbeddingResult, embed
from ml.text.encoder import Encoder, Progress
from ml.unit_rows import unit_rows
from ml.words.cleaning import clean_column


def embed_user_texts(
    user_texts: pa.Table,
    *,
    encoder: Encoder,
    cache: EmbeddingCache,
    as_of: datetime,
    half_life_days: float,
    progress: Progress | None = None,
) -> tuple[pa.Table, EmbeddingResult]:
    """The table `user_text_embeddings`, by user id, and what it cost.

    A user's vector is the mean of their texts' vectors, each weighted by
    0.5 ** (age in days / `half_life_days`), normalised. Texts in which nothing
    is written once they are cleaned are left out. Raises `LeakageError` for a text at or after `as_of`.
    """
    check_no_leakage(user_texts, name="user_texts", column="event_at", as_of=as_of)
    cleaned = clean_column(user_texts, "text")
    kept = cleaned.filter(pc.not_equal(cleaned.column("text"), "")).sort_by([("event_at", "ascending"), ("event_id", "ascending")])
    users = Vocabulary("user", kept.column("user_id"))
    user_index = users.positions(kept.column("user_id"))
    written_at = kept.column("event_at").cast(TIMESTAMP).cast(pa.int64()).to_numpy() / 1e6
    result = embed(kept.column("text").to_pylist(), encoder=encoder, cache=cache, progress=progress)
    vectors_UD = _decayed_means(
        result.vectors_ND, user_index=user_index, written_at=written_at, num_users=len(users), half_life_days=half_life_days
    )
    newest = kept.group_by("user_id").aggregate([("event_at", "max"), ([], "count_all")]).sort_by("user_id")
    table = pa.table(
        {
            "user_id": newest.column("user_id"),
            "num_texts": newest.column("count_all"),
            "last_text_at": newest.column("event_at_max"),
            "space_id": pa.repeat(pa.scalar(encoder.space.space_id, STRING), len(users)),
            "vector": matrix_to_vectors(vectors_UD),
        }
    )
    return USER_TEXT_EMBEDDINGS.conform(table), result


def _decayed_means(
    vectors_ND: FloatArray, *, user_index: IntArray, written_at: npt.NDArray[np.float64], num_users: int, half_life_days: float
) -> FloatArray:
    """Normalised weighted means, shape [U, D]; `written_at` is in seconds, oldest first."""
    if not num_users:
        return np.zeros((0, vectors_ND.shape[1]), dtype=np.float32)
    newest_U = np.full(num_users, -np.inf)
    np.maximum.at(newest_U, user_index, written_at)
    # Ages count from the user's newest text: the direction is the same, and old users do not underflow to nothing.
    weight = 0.5 ** ((newest_U[user_index] - written_at) / (half_life_days * SECONDS_PER_DAY))
    weights_UN = sp.csr_array((weight, (user_index, np.arange(len(weight)))), shape=(num_users, len(weight)))
    sums_UD = weights_UN @ vectors_ND
    newest_row = np.zeros(num_users, dtype=np.int64)
    newest_row[user_index] = np.arange(len(weight))
    # Texts that cancel out have no direction; the newest one then speaks for the user.
    cancelled_U = np.linalg.norm(sums_UD, axis=1) < 1e-6
    sums_UD[cancelled_U] = vectors_ND[newest_row[cancelled_U]]
    return unit_rows(sums_UD)
