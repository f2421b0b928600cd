"""Two processes learn what one learns: each a share of every batch, gradients summed, one of them writing checkpoints."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import distributed

from ml.config.pipeline import ModelConfig
from ml.epochs import processes
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.inputs import ModelInputs
from tests.ml.models.worlds import make_inputs

REPOSITORY = Path(__file__).resolve().parents[3]
CONFIG = ModelConfig(
    embedding_size=4,
    epochs=6,
    patience=2,
    batch_size=101,
    num_negatives=64,
    batches_per_step=2,
    learning_rate=0.003,
    hard_negative_share=0.2,
    disliked_negative_weight=0.1,
    in_batch_negatives=True,
    device="cpu",
)
PROGRAM = """
import sys, torch
from pathlib import Path
from torch import distributed
from tests.ml.models.test_processes import fit_in_one_of_two
torch.set_num_threads(1)
fit_in_one_of_two(Path(sys.argv[1]), rank=int(sys.argv[2]))
"""


def world() -> tuple[ModelInputs, sp.csr_array]:
    """Likes without a pattern of low rank, so that no direction is left to rounding; an odd number, so that shares differ."""
    rng = np.random.default_rng(4)
    liked_UI = rng.gamma(2.0, size=(60, 25)) * (rng.random((60, 25)) < 0.3)
    disliked_UI = (rng.random((60, 25)) < 0.05) * (liked_UI == 0) * 1.0
    validation_UI = sp.csr_array((rng.random((60, 25)) < 0.1) & (liked_UI == 0), dtype=np.float32)
    return make_inputs(liked_UI, disliked_UI=disliked_UI, text_ID=rng.normal(size=(25, 3))), validation_UI


def fit(checkpoints: Path | None = None) -> InterestGNN:
    inputs, validation_UI = world()
    return InterestGNN(CONFIG).fit(inputs, rng=np.random.default_rng(3), validation_UI=validation_UI, checkpoints=checkpoints)


def fit_in_one_of_two(folder: Path, *, rank: int) -> None:
    """What a process does: fit, save what it has, fit again from the checkpoints."""
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    write, written = processes.is_first(), folder / f"model-{rank}"
    assert write == (rank == 0)
    fit(folder / "checkpoints").save(written)
    processes.wait_for_all()
    fit(folder / "checkpoints").save(folder / f"again-{rank}")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    started = [subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), str(rank)], cwd=REPOSITORY) for rank in range(2)]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    return folder


def test_two_processes_learn_what_one_learns_up_to_rounding(folder: Path) -> None:
    one, two = fit(), InterestGNN.load(folder / "model-0")
    assert two.chosen_config.epochs == one.chosen_config.epochs
    np.testing.assert_allclose(two.user_vectors, one.user_vectors, atol=2e-3)
    np.testing.assert_allclose(two.item_vectors, one.item_vectors, atol=2e-3)
    untrained = InterestGNN(CONFIG.model_copy(update={"epochs": 1})).fit(world()[0], rng=np.random.default_rng(3))
    assert np.abs(untrained.user_vectors - one.user_vectors).max() > 0.02, "training moves vectors by more than is forgiven"


def test_both_processes_hold_the_same_bits(folder: Path) -> None:
    first, second = (InterestGNN.load(folder / f"model-{rank}") for rank in range(2))
    assert first.user_vectors.tobytes() == second.user_vectors.tobytes()
    assert first.chosen_config == second.chosen_config


def test_checkpoints_of_two_processes_bring_both_back(folder: Path) -> None:
    assert len(list((folder / "checkpoints").iterdir())) == 2
    for rank in range(2):
        found, again = (InterestGNN.load(folder / f"{name}-{rank}") for name in ("model", "again"))
        assert found.item_vectors.tobytes() == again.item_vectors.tobytes()


def test_one_process_needs_no_group() -> None:
    tensor = torch.ones(3)
    processes.sum_over_all([tensor])
    processes.wait_for_all()
    assert tensor.tolist() == [1.0, 1.0, 1.0]
    assert processes.own_share() == slice(None)
    assert processes.is_first()
    assert processes.first_figure(0.5, device=torch.device("cpu")) == 0.5
