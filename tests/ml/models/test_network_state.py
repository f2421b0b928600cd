"""A later fit starts where an earlier one ended: by id, by relation name, in the old coordinates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from ml.config.pipeline import ModelConfig
from ml.errors import ConfigError, ReleaseError
from ml.graph.build import ABOUT
from ml.graph.interest_graph import Edges, InterestGraph
from ml.ids import Vocabulary
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.gnn.network import InterestNetwork
from ml.models.gnn.network_state import NetworkState, start_from
from ml.models.inputs import ModelInputs
from tests.ml.models.worlds import awkward_world, make_inputs, two_tastes

CONFIG = ModelConfig(embedding_size=8, epochs=6, batch_size=64, num_negatives=32, device="cpu")


def built(inputs: ModelInputs, *, seed: int = 3) -> InterestNetwork:
    return InterestNetwork(inputs, config=CONFIG, rng=np.random.default_rng(seed), device=torch.device("cpu"))


def fit(inputs: ModelInputs, *, start: NetworkState | None = None, seed: int = 3, config: ModelConfig = CONFIG) -> InterestGNN:
    return InterestGNN(config).fit(inputs, rng=np.random.default_rng(seed), start=start)


def state_of(inputs: ModelInputs) -> NetworkState:
    state = fit(inputs).network_state
    assert state is not None
    return state


def with_newcomer() -> tuple[ModelInputs, ModelInputs]:
    """Two tastes, and the same a day later: user "用户0000a" of taste 0 sorts second, so every later position moves."""
    inputs, _ = two_tastes()
    liked_UI = np.insert(inputs.positives_UI.toarray(), 1, 0.0, axis=0)
    liked_UI[1, [0, 2, 4, 6]] = 1.0
    later = make_inputs(liked_UI, text_ID=inputs.text_ID)
    users = Vocabulary("user", [*inputs.users.ids.to_pylist(), "用户0000a"])
    return inputs, replace(later, users=users, graph=replace(later.graph, vocabularies=later.graph.vocabularies | {"user": users}))


def with_interests(inputs: ModelInputs) -> ModelInputs:
    interests = Vocabulary("interest", ["even", "odd"])
    item_index = np.arange(len(inputs.items))
    about = Edges(item_index, item_index % 2, np.ones(len(item_index), dtype=np.float32))
    return replace(inputs, graph=InterestGraph(inputs.graph.vocabularies | {"interest": interests}, inputs.graph.edges | {ABOUT: about}))


def test_starting_from_its_own_end_gives_its_own_vectors() -> None:
    inputs = with_interests(two_tastes()[0])
    model = fit(inputs)
    network = built(inputs, seed=11)
    assert model.network_state is not None
    start_from(network, model.network_state, vocabularies=inputs.graph.vocabularies)
    assert network.unit_vectors()["user"].numpy().tobytes() == model.user_vectors.tobytes()
    assert network.unit_vectors()["item"].numpy().tobytes() == model.item_vectors.tobytes()


def test_known_ids_keep_their_rows_wherever_they_stand_now() -> None:
    earlier, later = with_newcomer()
    state, network = state_of(earlier), built(later)
    start_from(network, state, vocabularies=later.graph.vocabularies)
    own_UD = network.own["user"].detach().numpy()
    positions_U = later.users.positions(earlier.users.ids)
    assert positions_U.tolist() == [0, *range(2, 49)]
    assert own_UD[positions_U].tobytes() == state.arrays["own.user"].tobytes()
    assert own_UD[1].any()


def test_a_newcomer_starts_as_built_but_in_the_old_coordinates() -> None:
    """A network turned as a whole is as good a network: the newcomer turns with it, and starts among its own taste in both."""
    earlier, later = with_newcomer()
    state = state_of(earlier)
    turn_DD = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0].astype(np.float32)
    turned = {name: array if name == "propagation.raw_weight_LR" else array @ turn_DD for name, array in state.arrays.items()}
    own_UD, own_turned_UD = (
        network_from(later, replace(state, arrays=arrays)).own["user"].detach().numpy() for arrays in (state.arrays, turned)
    )
    np.testing.assert_allclose(own_turned_UD, own_UD @ turn_DD, atol=1e-4)
    cosine_U = own_UD[2:] @ own_UD[1] / np.linalg.norm(own_UD[2:], axis=1) / np.linalg.norm(own_UD[1])
    taste_U = np.arange(1, 48) % 2
    assert cosine_U[taste_U == 0].mean() > cosine_U[taste_U == 1].mean() + 0.1


def network_from(inputs: ModelInputs, state: NetworkState) -> InterestNetwork:
    network = built(inputs)
    start_from(network, state, vocabularies=inputs.graph.vocabularies)
    return network


def test_a_row_that_was_never_learned_starts_as_built() -> None:
    earlier = make_inputs(np.pad(two_tastes()[0].positives_UI.toarray(), ((0, 0), (0, 1))))
    liked_UI = earlier.positives_UI.toarray()
    liked_UI[:24:2, 16] = 1.0
    later, state = make_inputs(liked_UI), state_of(earlier)
    assert not state.arrays["own.item"][16].any()
    network = built(later)
    start_from(network, state, vocabularies=later.graph.vocabularies)
    assert network.own["item"][16].detach().numpy().any()
    assert network.own["item"][:16].detach().numpy().tobytes() == state.arrays["own.item"][:16].tobytes()


def test_relations_are_matched_by_name_and_new_ones_start_fresh() -> None:
    earlier = two_tastes()[0]
    later, state = with_interests(earlier), state_of(earlier)
    fresh, network = built(later), built(later)
    start_from(network, state, vocabularies=later.graph.vocabularies)
    old = dict(zip(state.relations, state.arrays["propagation.raw_weight_LR"].T, strict=True))
    fresh_LR, found_LR = (built.propagation.raw_weight_LR.detach().numpy() for built in (fresh, network))
    for column, relation in enumerate(map(str, network.propagation.relations)):
        np.testing.assert_array_equal(found_LR[:, column], old.get(relation, fresh_LR[:, column]))
    assert set(old) < set(map(str, network.propagation.relations))
    assert network.own["interest"].detach().numpy().any()
    # And back: what is gone is left out.
    again = built(earlier)
    start_from(again, state_of(later), vocabularies=earlier.graph.vocabularies)
    assert sorted(again.own) == ["item", "user"]


def test_equal_starts_give_equal_bits_and_other_starts_others() -> None:
    earlier, later = with_newcomer()
    state = state_of(earlier)
    first, second, cold = fit(later, start=state), fit(later, start=state_of(earlier)), fit(later)
    assert first.item_vectors.tobytes() == second.item_vectors.tobytes()
    assert first.history == second.history
    assert first.item_vectors.tobytes() != cold.item_vectors.tobytes()
    assert first.history[0].loss < cold.history[0].loss


def test_saving_keeps_every_bit_and_equal_states_give_equal_bytes(tmp_path: Path) -> None:
    model = fit(with_interests(two_tastes()[0]))
    assert model.network_state is not None
    model.save(tmp_path / "model")
    loaded = InterestGNN.load(tmp_path / "model").network_state
    assert loaded is not None
    assert loaded.relations == model.network_state.relations
    assert {kind: ids.to_pylist() for kind, ids in loaded.ids.items()} == {
        kind: ids.to_pylist() for kind, ids in model.network_state.ids.items()
    }
    assert set(loaded.ids) == {"user", "item", "interest"}
    loaded.save(tmp_path / "again")
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (tmp_path / "model" / "network" / path.name).read_bytes()
    for name, array in model.network_state.arrays.items():
        assert array.dtype == np.float32
        assert loaded.arrays[name].tobytes() == array.tobytes()


def test_a_state_is_a_copy_that_later_training_leaves_alone() -> None:
    inputs = two_tastes()[0]
    state = state_of(inputs)
    kept = {name: array.copy() for name, array in state.arrays.items()}
    fit(inputs, start=state)
    network = built(inputs)
    taken = NetworkState.of(network, vocabularies=inputs.graph.vocabularies)
    before = taken.arrays["own.user"].copy()
    with torch.no_grad():
        network.own["user"].add_(1.0)
    np.testing.assert_array_equal(taken.arrays["own.user"], before)
    for name, array in kept.items():
        np.testing.assert_array_equal(state.arrays[name], array)


@pytest.mark.parametrize("change", [{"embedding_size": 4}, {"num_layers": 1}])
def test_a_start_of_another_shape_says_so(change: dict[str, int]) -> None:
    inputs = two_tastes()[0]
    with pytest.raises(ConfigError, match=r"fit from nothing"):
        fit(inputs, start=state_of(inputs), config=CONFIG.model_copy(update=change))


def test_a_start_that_knows_nobody_and_an_empty_world_both_work() -> None:
    state = state_of(awkward_world())
    stranger = replace(state, ids={kind: pa.array([f"x{number:04d}" for number in range(len(ids))]) for kind, ids in state.ids.items()})
    assert np.isfinite(fit(awkward_world(), start=stranger).item_vectors).all()
    empty = make_inputs(np.zeros((2, 9)), text_ID=awkward_world().text_ID)
    assert fit(empty, start=state).history == ()
    nobody = make_inputs(np.zeros((0, 0)), text_ID=np.zeros((0, 5)))
    assert fit(nobody, start=state).user_vectors.shape == (0, 8)
    assert fit(awkward_world(), start=state_of(nobody)).item_vectors.shape == (9, 8)


def test_a_folder_without_a_network_says_so(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no network to start from"):
        NetworkState.load(tmp_path)
