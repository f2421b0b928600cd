"""The interest map is a picture, the same each time, that never warns and never fails on odd tables."""

import subprocess
import sys
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.image import imread

from ml.contracts.meaning import INTEREST_POINTS
from ml.contracts.vectors import matrix_to_vectors
from ml.graph.picture import font_for, interest_map, lay_out


def points_of(names: list[str], *, vectors_PD: np.ndarray | None = None) -> pa.Table:
    if vectors_PD is None:
        vectors_PD = np.random.default_rng(0).normal(size=(len(names), 8))
    columns = {
        "interest_id": [f"tag:{position}" for position in range(len(names))],
        "name": names,
        "kind": [("tag", "category", "keyphrase", "theme")[position % 4] for position in range(len(names))],
        "parent_id": [None] * len(names),
        "aliases": [[]] * len(names),
        "num_items": [len(names) - position for position in range(len(names))],
        "specificity": [1.0] * len(names),
        "space_id": ["s"] * len(names),
        "vector": matrix_to_vectors(vectors_PD),
    }
    return pa.table(columns).cast(INTEREST_POINTS.schema)


@pytest.mark.parametrize(
    "names", [[], ["wool"], ["wool", "登山鞋"], ["$5 deals$", "a_b^c\\x", "", "x" * 300], [f"name {row}" for row in range(30)]]
)
def test_any_table_gives_a_picture_without_warnings(names: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = interest_map(points_of(names))
    assert imread(BytesIO(picture)).shape == (800, 1100, 4)


def test_the_same_table_gives_the_same_bytes() -> None:
    points = points_of([f"name {row}" for row in range(20)])
    assert interest_map(points) == interest_map(points)
    assert interest_map(points) != interest_map(points_of([f"name {row}" for row in range(19)]))


def test_points_all_alike_lie_together() -> None:
    assert np.ptp(lay_out(np.ones((20, 8), dtype=np.float32))) < 1e-5
    interest_map(points_of([str(row) for row in range(20)], vectors_PD=np.zeros((20, 8))))


def test_two_groups_come_apart() -> None:
    group = np.repeat([0, 1], 15)
    vectors_PD = (np.eye(6)[group] + 0.05 * np.random.default_rng(0).normal(size=(30, 6))).astype(np.float32)
    place = lay_out(vectors_PD)
    left, right = place[group == 0], place[group == 1]
    gap = np.linalg.norm(left.mean(axis=0) - right.mean(axis=0))
    within = max(np.linalg.norm(side - side.mean(axis=0), axis=1).max() for side in (left, right))
    assert gap > within


def test_a_few_points_keep_their_distances() -> None:
    vectors_PD = np.array([[0, 0, 1], [3, 0, 1], [0, 4, 1]], dtype=np.float32)
    place = lay_out(vectors_PD)
    assert np.linalg.norm(place[1] - place[2]) == pytest.approx(5.0, rel=1e-5)


def test_names_need_a_font_with_all_their_glyphs() -> None:
    assert font_for("Wool & café") == "DejaVu Sans"
    assert font_for("\U0010fffd") is None


def test_no_pyplot_is_started(repository: Path) -> None:
    program = "import sys, ml.graph.picture; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
