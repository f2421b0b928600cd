"""The page is one file that loads nothing and runs nothing but its own script, whatever names say."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from ml.contracts.behaviour import ITEMS, RAW_KNOWLEDGE
from ml.knowledge.page import knowledge_page
from ml.knowledge.triples import build_knowledge_graph
from tests.ml.interests.catalogues import make_items, make_knowledge

EVIL = '</script><script>alert(1)</script><img src=x onerror=alert(2)> @@DATA@@ "\u2028'


class Tags(HTMLParser):
    """What a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))


def page(triples, *, items=None, **options) -> str:
    items = items if items is not None else make_items([{"item_id": "a", "title": EVIL}])
    return knowledge_page(build_knowledge_graph(items, raw_knowledge=make_knowledge(triples)), items=items, title=EVIL, **options)


def data_of(html: str) -> dict:
    return json.loads(re.search(r'<script id="graph" type="application/json">(.*?)</script>', html, re.DOTALL).group(1))


def test_names_are_data_never_markup() -> None:
    html = page([("a", "made by", EVIL.strip()), ("a", EVIL, "x")])
    tags = Tags()
    tags.feed(html)
    assert [tag for tag, _ in tags.found].count("script") == 2
    assert "img" not in [tag for tag, _ in tags.found]
    assert not [
        attribute for _, attributes in tags.found for attribute in attributes if attribute.startswith("on") or attribute in {"src", "href"}
    ]
    data = data_of(html)
    assert EVIL in data["names"]
    script = html.rsplit("<script>", 1)[1].split("</script>", 1)[0]
    assert "innerHTML" not in script
    assert "eval(" not in script


def test_the_browser_is_told_to_run_this_script_and_load_nothing() -> None:
    html = page([])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html).group(1)
    script = html.rsplit("<script>", 1)[1].split("</script>", 1)[0]
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.findall(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z]+\.", html)


def test_every_triple_is_there_with_its_ends_and_kinds() -> None:
    items = make_items([{"item_id": "a", "title": "Tea", "attributes": '{"brand": "Acme"}'}, {"item_id": "b", "title": "壶"}])
    graph = build_knowledge_graph(items, raw_knowledge=make_knowledge([("a", "goes with", "b"), ("Acme GmbH", "based in", "Rome")]))
    data = data_of(knowledge_page(graph, items=items, title="shop"))
    drawn = {
        (data["names"][head], data["relations"][relation], data["names"][tail])
        for head, relation, tail in zip(data["heads"], data["relation_of_edge"], data["tails"], strict=True)
    }
    assert drawn == {("Tea", "goes_with", "壶"), ("Tea", "brand", "Acme"), ("Acme GmbH", "based_in", "Rome")}
    assert {name: data["kinds"][kind] for name, kind in zip(data["names"], data["kind_of_node"], strict=True)} == {
        "Tea": "item", "壶": "item", "Acme": "brand", "Acme GmbH": "entity", "Rome": "based_in",
    }  # fmt: skip
    assert data["left_out"] == 0


def test_too_many_triples_keep_the_well_joined_and_say_so() -> None:
    star = [("hub", "near", f"n{place}") for place in range(5)] + [(f"n{place}", "near", f"n{place + 1}") for place in range(4)]
    data = data_of(page([*star, ("lonely", "near", "other")], max_triples=9))
    assert len(data["heads"]) == 9
    assert data["left_out"] == 1
    assert "lonely" not in data["names"]


def test_an_empty_graph_has_a_page() -> None:
    html = knowledge_page(build_knowledge_graph(ITEMS.empty(), raw_knowledge=RAW_KNOWLEDGE.empty()), items=ITEMS.empty(), title="nothing")
    assert data_of(html)["names"] == []


def test_a_hundred_thousand_triples() -> None:
    number = 100_000
    heads, tails = (np.char.add(prefix, np.arange(number).astype(str)) for prefix in ("head ", "tail "))
    columns = {
        "head": heads,
        "relation": np.full(number, "near"),
        "tail": tails,
        "source_file": np.full(number, "f"),
        "source_row": np.arange(number),
    }
    graph = build_knowledge_graph(ITEMS.empty(), raw_knowledge=pa.table(columns).cast(RAW_KNOWLEDGE.schema))
    html = knowledge_page(graph, items=ITEMS.empty(), title="large")
    assert len(data_of(html)["heads"]) == number
    assert len(html) < 10_000_000


def test_the_script_can_be_read(tmp_path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; the script was not parsed")
    (tmp_path / "page.js").write_text(page([]).rsplit("<script>", 1)[1].split("</script>", 1)[0])
    subprocess.run([node, "--check", str(tmp_path / "page.js")], check=True)
