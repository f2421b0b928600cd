"""How much the past still counts: exponential decay by half-life."""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.days import SECONDS_PER_DAY

INSTANT = pa.timestamp("us", tz="UTC")
MICROSECONDS_PER_DAY = SECONDS_PER_DAY * 1e6


def decay_factors(at: pa.ChunkedArray | pa.Array, *, as_of: datetime, half_life_days: float) -> npt.NDArray[np.float64]:
    """What UTC instants `at` count for at `as_of`, in (0, 1] for the past, shape [N]."""
    now = pa.scalar(as_of, INSTANT).value
    return decay_by_age(now - np.asarray(at.cast(INSTANT).cast(pa.int64()), dtype=np.int64), half_life_days=half_life_days)


def decay_by_age(age_microseconds: npt.NDArray[np.int64], *, half_life_days: float) -> npt.NDArray[np.float64]:
    """`0.5 ** (age / half life)`, shape of the ages."""
    return np.exp2(age_microseconds / (-MICROSECONDS_PER_DAY * half_life_days))
