"""The main job as a user meets it: run, look up, run again."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pyarrow.parquet as pq

from ml.config.pipeline import TextConfig
from ml.contracts import CONTRACTS
from ml.text.encoder import load_encoder
from orchestration.run import run_fingerprint

from .conftest import SEARCHER


def test_every_contract_table_is_written_and_holds(finished_world) -> None:
    store = finished_world.scope().store
    for name, contract in CONTRACTS.items():
        table = store.read(contract, day=finished_world.last)
        assert contract.conform(table).num_rows == table.num_rows, name
        assert table.num_rows > 0, f"{name} is empty on a day that has everything"


def test_history_lies_day_by_day(finished_world) -> None:
    store = finished_world.scope().store
    days = store.days("interactions")
    assert (days[0], days[-1]) == (finished_world.first, finished_world.last)
    for day in days:
        found = set(pq.read_table(store.path("interactions", day), columns=["day"]).column("day").to_pylist())
        assert found <= {day}


def test_report_names_metrics_gate_user_and_places(finished_world, command) -> None:
    done = command(finished_world, "run", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["reused"] is True
    assert {"popularity", "item_knn", "ease", "ials", "text_only", "interest_gnn"} <= {row["model"] for row in found["metrics"]}
    assert found["release"]["reason"].endswith(".")
    assert found["recommendations"]
    assert all(row["reason"] for row in found["recommendations"])


def test_recommendations_hold_nothing_the_user_has_met(finished_world) -> None:
    store = finished_world.scope().store
    met = store.read_history(CONTRACTS["interactions"], through=finished_world.last)
    pairs = set(zip(met.column("user_id").to_pylist(), met.column("item_id").to_pylist(), strict=True))
    listed = store.read(CONTRACTS["recommendations"], day=finished_world.last)
    personal = [row for row in listed.to_pylist() if (row["user_id"], row["item_id"]) in pairs]
    assert listed.num_rows > 0
    assert personal == []


def test_every_reason_is_a_path_of_existing_edges(finished_world) -> None:
    from ml.graph.table import graph_from_table
    from ml.ranking.explain import path_exists

    store = finished_world.scope().store
    graph = graph_from_table(store.read(CONTRACTS["interest_graph"], day=finished_world.last))
    paths = [path for path in store.read(CONTRACTS["recommendations"], day=finished_world.last).column("path").to_pylist() if path]
    assert len(paths) > 100
    assert all(path_exists(graph, path) for path in paths)


def test_who_only_searched_has_a_profile_and_reasons(finished_world) -> None:
    store = finished_world.scope().store
    rows = {
        name: [row for row in store.read(CONTRACTS[name], day=finished_world.last).to_pylist() if row["user_id"] == SEARCHER]
        for name in ("user_interests", "user_profiles", "recommendations")
    }
    assert {(row["num_items"], tuple(row["item_ids"])) for row in rows["user_interests"]} == {(0, ())}
    assert sum(row["num_texts"] for row in rows["user_interests"]) >= 2
    (profile,) = rows["user_profiles"]
    assert "camping" in profile["interest_names"]
    assert profile["recent_interest_names"] == profile["interest_names"]
    assert {row["rung"] for row in rows["recommendations"]} == {"interest"}
    assert any(row["path"][:2] == [f"user:{SEARCHER}", "has_interest"] for row in rows["recommendations"])


def test_a_day_of_nothing_but_feedback_is_stopped_in_words(finished_world, command, tmp_path) -> None:
    world = finished_world.copied(tmp_path / "home")
    day, log = world.last + timedelta(days=1), world.scope().home.feedback
    log.mkdir(parents=True, exist_ok=True)
    said = {"event_id": "one", "user_id": SEARCHER, "item_id": "i00001", "event_type": "like", "event_at": f"{day}T05:00:00Z"}
    (log / "segment.jsonl").write_text(json.dumps(said | {"value": None, "text": None, "session_id": None}) + "\n")
    done = command(world, "run")
    assert done.returncode == 1
    assert re.search(rf"raw_events: 1 rows on {day}, usually [\d,]+", done.stderr), done.stderr
    assert "--accept" in done.stderr


def test_look_ups_answer_for_known_and_unknown_users(finished_world, command) -> None:
    known = command(finished_world, "run", "--json")
    user = json.loads(known.stdout)["user"]["user_id"]
    for arguments in (
        ("recommend", "--user", user, "--json"),
        ("recommend", "--user", "nobody-ever", "--json"),
        ("recommend", "--query", "warm hiking jacket", "--json"),
        ("recommend", "--query", "适合登山的外套", "--json"),
        ("similar", "--user", user, "--json"),
        ("evaluate", "--json"),
        ("releases", "--json"),
        ("profile", user, "--json"),
    ):
        done = command(finished_world, *arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        assert json.loads(done.stdout), arguments


def test_a_projection_is_fitted_from_the_catalogue_and_makes_a_space_of_its_own(finished_world, command, tmp_path) -> None:
    path = tmp_path / "projection.safetensors"
    done = command(finished_world, "fit-projection", "--dimension", "32", "--out", str(path))
    assert done.returncode == 0, done.stderr
    assert "384 numbers to 32" in done.stdout
    encoder = load_encoder(TextConfig(device="cpu", projection=str(path)))
    assert encoder.dimension == 32
    items = finished_world.scope().store.read(CONTRACTS["item_embeddings"], day=finished_world.last)
    assert encoder.space.space_id not in set(items.column("space_id").to_pylist())
    refused = command(finished_world, "fit-projection", "--dimension", "9999", "--out", str(path))
    assert refused.returncode == 2
    assert "9999" in refused.stderr


def test_the_knowledge_graph_is_a_page_and_answers_a_text(finished_world, command, tmp_path) -> None:
    page = tmp_path / "graph.html"
    done = command(finished_world, "knowledge-page", "--out", str(page))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(page)
    assert page.read_bytes() == (finished_world.scope().home.reports / "knowledge" / f"{finished_world.last}.html").read_bytes()
    found = json.loads(command(finished_world, "knowledge-nodes", "a quiet minimal style", "--json").stdout)
    assert found[0]["cosine"] + found[0]["jaccard"] >= found[-1]["cosine"] + found[-1]["jaccard"] > 0
    assert {"node_id", "kind", "name", "degree", "cosine", "jaccard"} <= set(found[0])


def test_a_user_and_an_item_are_pictures_and_a_stranger_is_an_error(finished_world, command, tmp_path) -> None:
    members = finished_world.scope().store.read(CONTRACTS["community_members"], day=finished_world.last).to_pylist()
    for node_type in ("user", "item"):
        out = tmp_path / f"{node_type}.png"
        node_id = next(row["node_id"] for row in members if row["node_type"] == node_type)
        done = command(finished_world, "picture", f"--{node_type}", node_id, "--out", str(out))
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(out)
        assert out.read_bytes().startswith(b"\x89PNG")
    refused = command(finished_world, "picture", "--user", "nobody-ever", "--out", str(tmp_path / "nobody.png"))
    assert refused.returncode == 1
    assert "unknown user: 'nobody-ever'" in refused.stderr
    assert not (tmp_path / "nobody.png").exists()
    assert command(finished_world, "picture", "--out", str(tmp_path / "nothing.png")).returncode == 2


def test_extraction_is_off_by_default(finished_world, command, tmp_path) -> None:
    done = command(finished_world, "extract-knowledge", "--out", str(tmp_path / "extracted.parquet"))
    assert done.returncode == 2
    assert "extractor.url" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_unknown_profile_is_a_clear_error(finished_world, command) -> None:
    done = command(finished_world, "profile", "nobody-ever")
    assert done.returncode == 1
    assert "unknown user: 'nobody-ever'" in done.stderr
    assert "Traceback" not in done.stderr


def test_broken_rows_are_kept_with_file_line_and_mend(finished_world) -> None:
    kept = finished_world.scope().store.read(CONTRACTS["quarantined_rows"], day=finished_world.last).to_pylist()
    assert kept
    assert all(row["source_file"] and row["source_row"] > 0 and row["reason"] and row["mend"] for row in kept)


def test_settings_are_searched_on_the_finished_day(finished_world, command, tmp_path) -> None:
    out = tmp_path / "better.yaml"
    done = command(finished_world, "tune", "--trials", "2", "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [attempt["place"] for attempt in found["attempts"]] == [0, 1]
    assert found["day"] == str(finished_world.last)
    assert found["holds"] is out.exists()
    assert "trial 2 of 2" in done.stderr
    again = command(finished_world, "tune", "--trials", "2")
    assert again.returncode == 0, again.stderr
    assert "2 of 2 trials are there" in again.stderr
    assert "model.temperature" in again.stdout


def test_what_a_search_would_try_makes_no_run_anew(finished_world) -> None:
    scope = finished_world.scope()
    other = scope.config.model_copy(update={"search": scope.config.search.model_copy(update={"num_trials": 3})})
    assert run_fingerprint(replace(scope, config=other)) == run_fingerprint(scope)
    seeded = scope.config.model_copy(update={"model": scope.config.model.model_copy(update={"seed": 9})})
    assert run_fingerprint(replace(scope, config=seeded)) != run_fingerprint(scope)
