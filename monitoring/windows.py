"""The windows that drift compares: the last days before `as_of`, and blocks of as many days before those.

A row belongs to block -1 (current) or 0, 1, ... (reference, newest first); comparing
the reference's blocks with one another says how much is only noise.
"""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.config.pipeline import MonitoringConfig
from ml.errors import ConfigError

CURRENT = -1
MIN_BLOCKS = 2

Blocks = npt.NDArray[np.int64]


def num_blocks(config: MonitoringConfig) -> int:
    """Reference blocks; raises `ConfigError` if the reference window is too short to tell drift from noise."""
    blocks = config.reference_days // config.current_days
    if blocks < MIN_BLOCKS:
        raise ConfigError(
            f"monitoring.reference_days is {config.reference_days}, at least {MIN_BLOCKS} x current_days = "
            f"{MIN_BLOCKS * config.current_days} are needed"
        )
    return blocks


def sampled_window(table: pa.Table, *, order: list[str], config: MonitoringConfig, as_of: datetime) -> tuple[pa.Table, Blocks]:
    """Rows (column `day`: date) of the windows before `as_of`, at most `max_sample` per block, and each row's block.

    `order` names the table's key: rows are drawn by seed from the sorted table, so the
    same rows in another order give the same sample. Later days are left out.
    """
    ordered = table.sort_by([(name, "ascending") for name in order])
    blocks = _blocks(ordered, config=config, as_of=as_of)
    rng = np.random.default_rng(config.seed)
    chosen = [_draw(np.flatnonzero(blocks == block), config.max_sample, rng) for block in range(CURRENT, num_blocks(config))]
    rows = np.sort(np.concatenate(chosen))
    return ordered.take(pa.array(rows)), blocks[rows]


def _blocks(table: pa.Table, *, config: MonitoringConfig, as_of: datetime) -> Blocks:
    """Block of each row, -2 outside the windows."""
    days = np.asarray(table.column("day").cast(pa.int32()).combine_chunks(), dtype=np.int64)
    days_ago = int(as_of.timestamp()) // 86_400 - 1 - days
    blocks = days_ago // config.current_days - 1
    return np.where((blocks >= CURRENT) & (blocks < num_blocks(config)), blocks, CURRENT - 1)


def _draw(rows: Blocks, limit: int, rng: np.random.Generator) -> Blocks:
    return rows if len(rows) <= limit else rng.choice(rows, size=limit, replace=False)
