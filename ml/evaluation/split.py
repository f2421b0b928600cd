"""Where history is cut into training, validation and test: by one clock for everybody.

A split per user, or a random one, lets the future in and reorders models unpredictably
(Ji et al., "A critical study on data leakage in recommender system offline evaluation", arXiv 2010.11060).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.config.pipeline import EvaluationConfig
from ml.errors import EvaluationError
from ml.ids import IntArray

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class TimeSplit:
    """Three windows, UTC: [.., validation_start), [validation_start, test_start), [test_start, end)."""

    validation_start: datetime
    test_start: datetime
    end: datetime


def global_time_split(interactions: pa.Table, *, config: EvaluationConfig) -> TimeSplit:
    """Cut so that the newest likes are the test and those before them the validation slice.

    Rows of positive weight count, by `last_event_at`. Each cut lies on an instant at which
    something was liked, so no instant is on both sides, and where instants are few the cut
    that comes nearest to the wished share is taken; every window holds at least one like.
    `end` is just after the last event of any weight. Raises `EvaluationError` where likes
    carry fewer than three instants.
    """
    liked = interactions.filter(pc.greater(interactions.column("weight"), 0.0))
    instants, num_likes = np.unique(_microseconds(liked.column("last_event_at")), return_counts=True)
    if len(instants) < 3:
        raise EvaluationError(
            f"likes at {len(instants)} distinct instant(s) cannot be cut into training, validation and test: at least 3 are needed; "
            "map event_at of the dataset file to when each event happened, or wait for more history"
        )
    test = _nearest_cut(num_likes, first=2, wished=config.test_share * num_likes.sum())
    validation = _nearest_cut(num_likes[:test], first=1, wished=config.validation_share * num_likes.sum())
    last_event = pc.max(interactions.column("last_event_at")).as_py()
    return TimeSplit(_instant(instants[validation]), _instant(instants[test]), last_event + timedelta(microseconds=1))


def _nearest_cut(num_likes: IntArray, *, first: int, wished: float) -> int:
    """The position, at least `first`, from which on the likes come nearest to `wished`; the later one of two as near."""
    from_here = np.cumsum(num_likes[::-1])[::-1][first:]
    distance = np.abs(from_here - wished)
    return first + len(distance) - 1 - int(np.argmin(distance[::-1]))


def _microseconds(at: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    return np.asarray(at.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()), dtype=np.int64)


def _instant(microseconds: np.int64) -> datetime:
    return _EPOCH + timedelta(microseconds=int(microseconds))
