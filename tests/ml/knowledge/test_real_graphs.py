"""Given graphs of real sets through their dataset files: as many triples, relations and entities as their DATA.md tells."""

from datetime import UTC, datetime

import pyarrow.compute as pc
import pytest

from ml.config.pipeline import IntakeConfig, KnowledgeConfig
from ml.contracts.behaviour import ITEMS, RAW_ITEMS, RAW_KNOWLEDGE
from ml.contracts.store import TableStore
from ml.ids import UserIdBorder
from ml.intake.dataset import load_dataset
from ml.intake.ingest import ingest
from ml.knowledge.findings import knowledge_findings
from ml.knowledge.triples import build_knowledge_graph
from tests.ml.interests.catalogues import make_items

# Dataset -> folder, and what DATA.md counts; of loops it says nothing: 49 of lastfm-kg were counted in the file.
# Friends stand there both ways, and are a relation more.
GRAPHS = {
    "lastfm": ("lastfm-kg", {"triples": 15_518, "relations": 60 + 1, "loops": 49, "friends": 25_434}),
    "bookcrossing": ("bookcrossing-kg", {"triples": 151_500, "relations": 25, "entities": 77_902, "loops": 0, "friends": 0}),
}


@pytest.fixture(scope="module")
def landed(repository, real_data, tmp_path_factory):
    """The raw tables of a set's first day."""

    def read(name):
        folder = real_data(GRAPHS[name][0])
        dataset = load_dataset(repository / "examples" / f"{name}.yaml", variables={"INTEREST_GRAPH_DATA": str(folder.parent)})
        home = tmp_path_factory.mktemp(name)
        store = TableStore(home / "tables")
        ingest(
            dataset,
            days=[dataset.start],
            store=store,
            border=UserIdBorder(name),
            config=IntakeConfig(),
            now=datetime(2026, 1, 1, tzinfo=UTC),
            landed=home / "landed",
            code_version="test",
        )
        return store.read(RAW_KNOWLEDGE, day=dataset.start), store.read(RAW_ITEMS, day=dataset.start)

    return read


@pytest.mark.parametrize("name", GRAPHS)
def test_counts_are_those_of_the_set(name, landed) -> None:
    raw, raw_items = landed(name)
    items = make_items([{"item_id": row["item_id"], "title": row["title"]} for row in raw_items.select(["item_id", "title"]).to_pylist()])
    graph = build_knowledge_graph(items, raw_knowledge=raw, config=KnowledgeConfig())
    told = GRAPHS[name][1]
    assert raw.num_rows == told["triples"] + told["friends"]
    assert graph.num_rows == told["triples"] - told["loops"] + told["friends"] // 2
    assert pc.sum(pc.equal(graph.column("head_type"), "user")).as_py() == told["friends"] // 2
    assert len(pc.unique(raw.column("relation"))) == told["relations"]
    assert set(graph.column("source").to_pylist()) == {"given"}
    if "entities" in told:
        ends = {*zip(graph.column("head_type").to_pylist(), graph.column("head").to_pylist(), strict=True)}
        ends |= {*zip(graph.column("tail_type").to_pylist(), graph.column("tail").to_pylist(), strict=True)}
        assert len(ends) == told["entities"]
    assert pc.any(pc.equal(graph.column("head_type"), "item")).as_py()
    findings = knowledge_findings(raw, items=items)
    assert ("head and tail are the same" in " ".join(map(str, findings))) == (told["loops"] > 0)


def test_nothing_given_is_no_graph() -> None:
    assert build_knowledge_graph(ITEMS.empty(), raw_knowledge=RAW_KNOWLEDGE.empty(), config=KnowledgeConfig()).num_rows == 0
