"""The past fades by half-lives."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from ml.contracts.contract import TIMESTAMP
from ml.decay import decay_by_age, decay_factors
from tests.ml.interests.catalogues import AS_OF


def test_decay_halves_per_half_life() -> None:
    at = pa.chunked_array([[AS_OF - timedelta(days=days) for days in (0, 10, 20)]], TIMESTAMP)
    np.testing.assert_allclose(decay_factors(at, as_of=AS_OF, half_life_days=10), [1.0, 0.5, 0.25])


def test_decay_of_parts_of_a_day_and_of_nothing() -> None:
    half_a_day = np.array([43_200_000_000])
    assert decay_by_age(half_a_day, half_life_days=0.5)[0] == pytest.approx(0.5)
    assert decay_factors(pa.chunked_array([], TIMESTAMP), as_of=AS_OF, half_life_days=1).shape == (0,)
