"""Principal components keep what differs, and a projection belongs to its space."""

import numpy as np
import pytest

from ml.config.pipeline import TextConfig
from ml.errors import ConfigError
from ml.text.encoder import load_encoder
from ml.text.reduction import Projection, fit_projection, kept_variance, load_projection, reduce, save_projection


@pytest.fixture
def vectors() -> np.ndarray:
    """300 unit vectors that differ in three of sixteen directions."""
    rng = np.random.default_rng(1)
    flat = rng.normal(size=(300, 3)) * [3, 2, 1]
    turned = flat @ np.linalg.qr(rng.normal(size=(16, 16)))[0][:3]
    return (turned / np.linalg.norm(turned, axis=1, keepdims=True)).astype(np.float32)


def test_three_directions_hold_all_there_is(vectors) -> None:
    mean_D, components_DK = fit_projection(vectors, dimension=3)
    np.testing.assert_allclose((vectors - mean_D) @ components_DK @ components_DK.T + mean_D, vectors, atol=1e-5)
    np.testing.assert_allclose(components_DK.T @ components_DK, np.eye(3), atol=1e-5)
    assert kept_variance(vectors, components_DK=components_DK) == pytest.approx(1)
    assert 0.3 < kept_variance(vectors, components_DK=components_DK[:, :1]) < 0.9
    again = fit_projection(vectors, dimension=3)
    np.testing.assert_array_equal(again[1], components_DK)


def test_a_row_is_the_same_bits_whatever_the_others(vectors) -> None:
    projection = Projection(*fit_projection(vectors, dimension=5), "p")
    together = reduce(vectors, projection=projection, dimension=5)
    alone = np.concatenate([reduce(vectors[row : row + 1], projection=projection, dimension=5) for row in range(300)])
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert reduce(projection.mean_D[None], projection=projection, dimension=5).tolist() == [[1, 0, 0, 0, 0]]
    assert reduce(vectors[:0], projection=projection, dimension=5).shape == (0, 5)


def test_a_projection_makes_a_space_of_its_own(vectors, tiny_model, tmp_path) -> None:
    path = tmp_path / "projection.safetensors"
    mean_D, components_DK = fit_projection(vectors, dimension=4)
    save_projection(path, mean_D=mean_D, components_DK=components_DK)
    config = TextConfig(model=str(tiny_model()), max_tokens=16, dtype="float32", device="cpu")
    whole, reduced = load_encoder(config), load_encoder(config.model_copy(update={"projection": str(path)}))
    assert reduced.dimension == 4
    assert reduced.space.space_id != whole.space.space_id
    expected = (whole.encode(["sea"]).vectors_ND - mean_D) @ components_DK
    np.testing.assert_allclose(reduced.encode(["sea"]).vectors_ND, expected / np.linalg.norm(expected), atol=1e-5)
    with pytest.raises(ConfigError, match=r"text\.dimension is 3, but text\.projection says"):
        load_encoder(config.model_copy(update={"projection": str(path), "dimension": 3}))


def test_refusals_say_what_to_do(vectors, tmp_path) -> None:
    with pytest.raises(ValueError, match="not within 1 to 16"):
        fit_projection(vectors, dimension=17)
    (tmp_path / "noise").write_bytes(b"noise")
    with pytest.raises(ConfigError, match="fit-projection"):
        load_projection(tmp_path / "noise", dimension=16)
    save_projection(tmp_path / "p", mean_D=np.zeros(8, np.float32), components_DK=np.zeros((8, 2), np.float32))
    with pytest.raises(ConfigError, match="for vectors of 8 numbers, the model gives 16"):
        load_projection(tmp_path / "p", dimension=16)
