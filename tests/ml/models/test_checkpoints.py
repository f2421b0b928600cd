"""A fit that is killed at any moment and run again ends with the bits it would have had."""

import logging
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from ml.config.pipeline import ModelConfig
from ml.epochs.checkpoints import Checkpoint, Checkpoints
from ml.graph.interest_graph import EdgeType, InterestGraph
from ml.ids import Vocabulary
from ml.models.gnn.fingerprints import fingerprint_of
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.inputs import ModelInputs
from tests.ml.models.worlds import awkward_world, two_tastes

CONFIG = ModelConfig(embedding_size=8, epochs=9, patience=3, batch_size=64, num_negatives=32, device="cpu")
REPOSITORY = Path(__file__).resolve().parents[3]


class KilledError(Exception):
    pass


def world(*, validated: bool = True) -> tuple[ModelInputs, sp.csr_array | None]:
    inputs, withheld_U = two_tastes()
    validation_UI = sp.csr_array((np.ones(48), (np.arange(48), withheld_U)), shape=(48, 16))
    return inputs, validation_UI if validated else None


def fit(
    folder: Path | None, *, validated: bool = True, die_at: int | None = None, config: ModelConfig = CONFIG, seed: int = 3
) -> InterestGNN:
    inputs, validation_UI = world(validated=validated)

    def progress(done: int, _total: int) -> None:
        if done == die_at:
            raise KilledError

    return InterestGNN(config).fit(
        inputs, rng=np.random.default_rng(seed), validation_UI=validation_UI, progress=progress, checkpoints=folder
    )


def resumed(folder: Path, *, validated: bool = True, config: ModelConfig = CONFIG) -> tuple[InterestGNN, list[int]]:
    """A fit that goes on from what lies in the folder, and the epochs it trained."""
    seen: list[int] = []
    inputs, validation_UI = world(validated=validated)
    found = InterestGNN(config).fit(
        inputs,
        rng=np.random.default_rng(3),
        validation_UI=validation_UI,
        checkpoints=folder,
        progress=lambda done, _: seen.append(done),
    )
    return found, seen


def assert_same_fit(found: InterestGNN, expected: InterestGNN, folder: Path) -> None:
    assert found.history == expected.history
    assert found.chosen_config == expected.chosen_config
    assert found.relation_weights == expected.relation_weights
    assert found.network_state is not None
    assert expected.network_state is not None
    for name, array in expected.network_state.arrays.items():
        assert found.network_state.arrays[name].tobytes() == array.tobytes(), name
    found.save(folder / "found")
    expected.save(folder / "expected")
    for path in (folder / "expected").rglob("*.*"):
        assert (folder / "found" / path.relative_to(folder / "expected")).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("die_at", [1, 2, 3])
def test_killed_after_any_epoch_it_ends_with_the_same_bits(tmp_path: Path, validated: bool, die_at: int) -> None:
    expected = fit(None, validated=validated)
    assert len(expected.history) > die_at
    with pytest.raises(KilledError):
        fit(tmp_path / "fit", validated=validated, die_at=die_at)
    found, seen = resumed(tmp_path / "fit", validated=validated)
    assert seen == list(range(die_at + 1, len(expected.history) + 1))
    assert_same_fit(found, expected, tmp_path)


def test_killed_again_and_again_it_still_ends_the_same(tmp_path: Path) -> None:
    expected = fit(None)
    for epoch in range(1, len(expected.history) + 1):
        with pytest.raises(KilledError):
            fit(tmp_path / "fit", die_at=epoch)
        assert len(list((tmp_path / "fit").iterdir())) == min(epoch, 2)
    assert_same_fit(fit(tmp_path / "fit"), expected, tmp_path)


def test_a_finished_fit_asked_for_again_trains_nothing(tmp_path: Path) -> None:
    expected = fit(None)
    assert_same_fit(fit(tmp_path / "fit"), expected, tmp_path)
    # A step after it was killed: the fit itself is not lost with it.
    assert_same_fit(fit(tmp_path / "fit", die_at=0), expected, tmp_path)


def test_kill_9_at_any_moment(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"epochs": 60, "patience": 60})
    program = (
        "import sys, torch; from pathlib import Path; torch.set_num_threads(1)\n"
        "from tests.ml.models.test_checkpoints import CONFIG, fit\n"
        "fit(Path(sys.argv[1]), config=CONFIG.model_copy(update={'epochs': 60, 'patience': 60}))"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "fit")], cwd=REPOSITORY)
    deadline = time.monotonic() + 120
    while not (tmp_path / "fit" / "epoch-000005").exists() and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    found, seen = resumed(tmp_path / "fit", config=config)
    assert seen[0] >= 6
    assert_same_fit(found, fit(None, config=config), tmp_path)
    torch.set_num_threads(before)


@pytest.mark.parametrize("file", ["tensors.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_torn_newest_checkpoint_costs_one_epoch(tmp_path: Path, caplog, file: str, damage: str) -> None:
    with pytest.raises(KilledError):
        fit(tmp_path / "fit", die_at=4)
    path = tmp_path / "fit" / "epoch-000004" / file
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        # A digit of a loss, or a byte of a tensor.
        place = content.index(b'"loss": ') + 12 if file.endswith("json") else len(content) - 3
        path.write_bytes(content[:place] + (b"1" if content[place : place + 1] != b"1" else b"2") + content[place + 1 :])
    (tmp_path / "fit" / ".epoch-000005.123.tmp").mkdir()
    seen: list[int] = []
    inputs, validation_UI = world()
    with caplog.at_level(logging.WARNING):
        found = InterestGNN(CONFIG).fit(
            inputs,
            rng=np.random.default_rng(3),
            validation_UI=validation_UI,
            checkpoints=tmp_path / "fit",
            progress=lambda done, _: seen.append(done),
        )
    assert seen[0] == 4
    assert "epoch-000004 is torn" in caplog.text
    assert_same_fit(found, fit(None), tmp_path)


def test_checkpoints_of_another_fit_are_ignored_and_removed(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        fit(tmp_path / "fit", die_at=4, seed=99)
    seen: list[int] = []
    InterestGNN(CONFIG).fit(
        world()[0], rng=np.random.default_rng(3), checkpoints=tmp_path / "fit", progress=lambda done, _: seen.append(done)
    )
    assert seen[0] == 1
    assert_same_fit(fit(tmp_path / "fit"), fit(None), tmp_path)


def test_the_fingerprint_moves_with_everything_that_determines_a_fit() -> None:
    inputs, validation_UI = world()
    start = fit(None).network_state
    assert start is not None

    def of(inputs: ModelInputs = inputs, **others: object) -> str:
        return fingerprint_of(inputs, **({"model": "interest_gnn", "config": CONFIG, "rng": np.random.default_rng(3)} | others))  # type: ignore[arg-type]

    likes_UI = inputs.positives_UI.copy()
    likes_UI.data[5] *= 1.0001
    renamed = Vocabulary("user", [*inputs.users.ids.to_pylist()[:-1], "用户zzzz"])
    (edge_type, edges), *_ = inputs.graph.edges.items()
    weight = edges.weight.copy()
    weight[0] += 1
    moved = dict(start.arrays) | {"projection_FD": start.arrays["projection_FD"] + 1}
    versions = {
        "as it is": of(),
        "config": of(config=CONFIG.model_copy(update={"learning_rate": 0.02})),
        "rng": of(rng=np.random.default_rng(4)),
        "validation": of(validation_UI=validation_UI),
        "start": of(start=start),
        "start moved": of(start=replace(start, arrays=moved)),
        "start of others": of(start=replace(start, ids=dict(start.ids) | {"user": renamed.ids})),
        "likes": of(replace(inputs, positives_UI=likes_UI)),
        "text": of(replace(inputs, text_ID=inputs.text_ID + np.float32(1e-6))),
        "ids": of(replace(inputs, graph=replace(inputs.graph, vocabularies=inputs.graph.vocabularies | {"user": renamed}))),
        "weight": of(replace(inputs, graph=replace(inputs.graph, edges={edge_type: replace(edges, weight=weight)}))),
        "relation": of(replace(inputs, graph=InterestGraph(inputs.graph.vocabularies, {EdgeType("user", "viewed", "item"): edges}))),
        "world": of(awkward_world()),
    }
    assert len(set(versions.values())) == len(versions)
    assert versions["as it is"] == of() == of(world()[0])


def test_no_folder_is_no_checkpoint(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "none", fingerprint="x")
    assert checkpoints.newest() is None
    checkpoints.write(1, Checkpoint({"a": torch.arange(3.0)}, {"history": []}))
    found = checkpoints.newest()
    assert found is not None
    assert found.tensors["a"].tolist() == [0.0, 1.0, 2.0]
