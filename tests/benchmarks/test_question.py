"""What is held out of a catalogue is not in anything that answers the question."""

import json

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.asking.catalogues import Catalogue, Label
from benchmarks.asking.held_out import build_world, near_names, without_labels
from benchmarks.knowledge import as_items
from benchmarks.question import figures
from ml.contracts.behaviour import RAW_KNOWLEDGE
from ml.text.cache import EmbeddingCache

LABEL = Label("时间旅行", ("时间旅行",), frozenset(f"i{number:02}" for number in range(6)), frozenset({"时间旅行", "Time Travel"}))
CATEGORY = "Films > Time Travel"


def catalogue(where: str) -> Catalogue:
    ids = [f"i{number:02}" for number in range(12)]
    people = [json.dumps({"person": ["Time Travel", "Ann Bee"] if item in LABEL.item_ids else ["Cy Dee"]}) for item in ids]
    strings = (pa.chunked_array([pa.array(column)]) for column in (ids, [f"Film {item}" for item in ids], ["A quiet story."] * 12))
    items = as_items(*strings, attributes=people)
    tags = [["time-travel", "Time Travel", "calm"] if item in LABEL.item_ids else ["calm", "loud"] for item in ids]
    levels = [CATEGORY if item in LABEL.item_ids else "Films" for item in ids]
    for name, column in (("tags", pa.array(tags)), ("category", pa.array(levels))):
        items = items.set_column(items.column_names.index(name), items.schema.field(name), column.cast(items.schema.field(name).type))
    return Catalogue("films", items, RAW_KNOWLEDGE.empty(), (LABEL,), "auto", where)


@pytest.fixture(scope="module")
def encoder():
    from ml.config.pipeline import TextConfig
    from ml.text.encoder import load_encoder

    return load_encoder(TextConfig())


def test_a_removed_label_is_in_no_interest_entity_or_edge(encoder, tmp_path) -> None:
    made = catalogue("tags")
    world = build_world(
        made, labels=[LABEL], protocol="removed", encoder=encoder, cache=EmbeddingCache(tmp_path, space=encoder.space), seed=7
    )
    told = [
        *world.interest_points.column("name").to_pylist(),
        *world.graph.vocabularies["interest"].ids.to_pylist(),
        *world.graph.vocabularies["entity"].ids.to_pylist(),
        *world.knowledge_graph.column("tail_name").to_pylist(),
    ]
    assert not [name for name in told if "travel" in name.casefold() or "时间旅行" in name]
    assert "Ann Bee" in told
    assert world.relevant_QI.sum() == len(LABEL.item_ids)
    assert not world.hidden_QI.any()


def test_half_of_a_label_is_left_and_left_out_of_the_lists(encoder, tmp_path) -> None:
    made = catalogue("attribute:person")
    world = build_world(made, labels=[LABEL], protocol="half", encoder=encoder, cache=EmbeddingCache(tmp_path, space=encoder.space), seed=7)
    assert world.relevant_QI.sum() == world.hidden_QI.sum() == 3
    assert not (world.relevant_QI & world.hidden_QI).any()
    people = [json.loads(row)["person"] for row in world.items.column("attributes").to_pylist()]
    keeps = np.array(["Time Travel" in row for row in people])
    np.testing.assert_array_equal(keeps, world.hidden_QI[0])


@pytest.mark.parametrize(("where", "column"), [("tags", "tags"), ("category", "category"), ("attribute:person", "attributes")])
def test_a_label_goes_from_its_column_and_the_rest_stays(where, column) -> None:
    items = catalogue(where).items
    left = without_labels(items, where=where, hidden=dict.fromkeys(LABEL.names, LABEL.item_ids))
    assert not any("Time Travel" in str(value) for value in left.column(column).to_pylist())
    kept = {"tags": "calm", "category": "Films", "attributes": "Ann Bee"}[column]
    assert kept in str(left.column(column).to_pylist()[0])
    assert left.drop_columns([column]).equals(items.drop_columns([column]))


def test_near_spellings() -> None:
    found = ["Time-Travel", "time travels", "timetravel", "Best Time Travel Films", "travel", "时间旅行者", "calm / time travel", "timer"]
    near = near_names(found, ["time travel", "时间旅行"], kinds=["tag"] * 6 + ["theme", "tag"])
    assert near.tolist() == [True, True, True, True, False, True, True, False]


def test_figures_by_hand() -> None:
    class World:
        relevant_QI = np.array([[True, False, True, False], [False, True, False, False]])
        hidden_QI = np.array([[False, True, False, False], [False] * 4])
        label_Q = np.array([0, 1])

    scores = np.array([[0.1, 0.9, 0.8, 0.5], [0.9, 0.8, 0.1, 0.1]])
    found = figures(World, scores, questions=np.array([0, 1]))
    # The best item of the first question is hidden: hits at ranks 1 and 3 of two; of the second at rank 2.
    assert found == pytest.approx(np.array([[1.0, (1 + 1 / 2) / (1 + 1 / np.log2(3))], [1.0, 1 / np.log2(3)]]))
