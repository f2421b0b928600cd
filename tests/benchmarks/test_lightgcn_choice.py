"""The table of LightGCN's settings: asked on withheld items, a split that is not here named."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import lightgcn_choice
from benchmarks.published.protocols import ALL_RANKING
from benchmarks.published.split import PublishedSplit
from benchmarks.report import Options


def test_rows_hold_the_filter_the_default_and_who_is_folded_in() -> None:
    rng = np.random.default_rng(0)
    train_UI = sp.csr_array((rng.random((40, 30)) < 0.3).astype(np.float32))
    split = PublishedSplit("gowalla-lightgcn", ALL_RANKING, train_UI, sp.csr_array(train_UI.shape, dtype=np.float32))
    rows = list(lightgcn_choice._tried(split, quick=True))
    assert [row["setting"] for row in rows] == ["spectral_filter", "default", "default, folded in"]
    assert all(0.0 < float(str(row["recall@20"])) <= 1.0 for row in rows)


def test_a_split_that_is_not_here_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEREST_GRAPH_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match="gowalla-lightgcn is not on this machine"):
        lightgcn_choice.main(Options(quick=False, json_path=None))
