"""The columns whose distributions are compared, as data frames: one row per sampled interaction, or per user and day.

What a column says about an item (category, interests, vector) is read from today's
tables for both windows, so that only behaviour can differ. Add a column here to
have it watched. Shapes: N sampled interactions, D vector dimension, C components.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ml.contracts.vectors import vectors_to_matrix
from monitoring.windows import CURRENT, Blocks

NUM_COMPONENTS = 8
NUM_NAMES = 50
OTHER = "(other)"
INTEREST_KINDS = ("category", "keyphrase", "tag", "theme")


@dataclass(frozen=True)
class Watched:
    """A column that is compared: the group it belongs to, its name and what it holds."""

    dataset: Literal["behaviour", "interests", "embeddings"]
    name: str
    kind: Literal["numerical", "categorical"]


WATCHED = (
    Watched("behaviour", "interaction_weight", "numerical"),
    Watched("behaviour", "interaction_events", "numerical"),
    Watched("behaviour", "hour_of_day", "numerical"),
    Watched("behaviour", "item_category", "categorical"),
    Watched("behaviour", "user_day_events", "numerical"),
    Watched("behaviour", "user_day_items", "numerical"),
    Watched("behaviour", "user_day_sessions", "numerical"),
    *(Watched("interests", f"interest_{kind}", "categorical") for kind in INTEREST_KINDS),
    *(Watched("embeddings", f"component_{number}", "numerical") for number in range(1, NUM_COMPONENTS + 1)),
)


def interaction_columns(interactions: pa.Table, *, items: pa.Table) -> pd.DataFrame:
    """Weight, events, hour and category of each interaction, shape [N, 4]."""
    frame = interactions.select(["item_id", "weight", "num_events", "last_event_at"]).to_pandas()
    categories = items.select(["item_id", "category"]).to_pandas().set_index("item_id")["category"]
    return pd.DataFrame(
        {
            "interaction_weight": frame["weight"].astype(float),
            "interaction_events": frame["num_events"].astype(float),
            "hour_of_day": frame["last_event_at"].dt.hour.astype(float),
            "item_category": frame["item_id"].map(categories).astype(object),
        }
    )


def activity_columns(user_activity_daily: pa.Table) -> pd.DataFrame:
    """Events, items and sessions of each user-day."""
    frame: pd.DataFrame = user_activity_daily.select(["num_events", "num_items", "num_sessions"]).to_pandas()
    names = {"num_events": "user_day_events", "num_items": "user_day_items", "num_sessions": "user_day_sessions"}
    return frame.astype(float).rename(columns=names)


def interest_columns(
    interactions: pa.Table, *, item_interests: pa.Table, interest_points: pa.Table, rng: np.random.Generator
) -> pd.DataFrame:
    """One interest of each kind per interaction, drawn among its item's with their weights as odds; None where it has none.

    Drawing (Gumbel-max) keeps the expected mix of interests, which taking the strongest would not.
    """
    points = interest_points.select(["interest_id", "name", "kind"]).to_pandas()
    weighted = item_interests.select(["item_id", "interest_id", "weight"]).to_pandas().merge(points, on="interest_id")
    asked = pd.DataFrame({"row": np.arange(interactions.num_rows), "item_id": interactions.column("item_id").to_pandas()})
    pairs = asked.merge(weighted, on="item_id").sort_values(["row", "kind", "interest_id"], ignore_index=True)
    pairs["luck"] = np.log(pairs["weight"].to_numpy(dtype=float)) + rng.gumbel(size=len(pairs))
    drawn = pairs.loc[pairs.groupby(["row", "kind"])["luck"].idxmax()]
    columns = {
        f"interest_{kind}": drawn[drawn["kind"] == kind].set_index("row")["name"].reindex(asked["row"]).to_numpy(dtype=object)
        for kind in INTEREST_KINDS
    }
    return pd.DataFrame(columns, dtype=object)


def component_columns(interactions: pa.Table, *, blocks: Blocks, item_embeddings: pa.Table) -> pd.DataFrame:
    """Principal components of the items' vectors, shape [N, C], fitted on the reference's interactions; NaN without a vector.

    C is at most `NUM_COMPONENTS`; columns beyond what the vectors can give are all NaN.
    """
    vectors_ID = vectors_to_matrix(item_embeddings.column("vector")).astype(np.float64)
    rows = pd.Index(item_embeddings.column("item_id").to_pandas()).get_indexer(interactions.column("item_id").to_pandas())
    components_NC = np.full((interactions.num_rows, NUM_COMPONENTS), np.nan)
    fitted = np.flatnonzero((rows >= 0) & (blocks != CURRENT))
    if len(fitted) > 1:
        mean_D, axes_DC = _principal_axes(vectors_ID[rows[fitted]])
        known = np.flatnonzero(rows >= 0)
        components_NC[known, : axes_DC.shape[1]] = (vectors_ID[rows[known]] - mean_D) @ axes_DC
    return pd.DataFrame(components_NC, columns=[f"component_{number}" for number in range(1, NUM_COMPONENTS + 1)])


def _principal_axes(vectors_ND: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and leading eigenvectors of the covariance, shape [D, C], largest first, signs fixed."""
    mean_D = vectors_ND.mean(axis=0)
    _, vectors_DD = np.linalg.eigh(np.cov(vectors_ND, rowvar=False).reshape(len(mean_D), len(mean_D)))
    axes_DC = vectors_DD[:, ::-1][:, :NUM_COMPONENTS]
    # An eigenvector's sign is arbitrary: its largest entry counts as positive.
    largest = np.abs(axes_DC).argmax(axis=0)
    return mean_D, axes_DC * np.sign(axes_DC[largest, np.arange(axes_DC.shape[1])])


def common_names(column: pd.Series, *, blocks: Blocks) -> pd.Series:
    """Names outside the reference's `NUM_NAMES` most frequent become `(other)`: distances over a long tail are noise."""
    counts = column[blocks != CURRENT].value_counts()
    kept = sorted(counts.index, key=lambda name: (-counts[name], name))[:NUM_NAMES]
    return column.where(column.isin(kept) | column.isna(), OTHER)
