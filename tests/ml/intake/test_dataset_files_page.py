"""docs/dataset-files.md says what really happens: its file loads, its messages are ours, letter by letter."""

import gzip
import re

import pytest
import yaml


@pytest.fixture
def blocks(repository):
    """The fenced blocks of the page by language, in order."""
    found = re.findall(r"```(\w+)\n(.*?)```", (repository / "docs" / "dataset-files.md").read_text(encoding="utf-8"), re.DOTALL)
    return {language: [text for kind, text in found if kind == language] for language, _ in found}


@pytest.fixture
def page_shop(shop, blocks):
    """The page's shop with its files."""
    shop.settings = yaml.safe_load(blocks["yaml"][0])
    shop.variables = {"SHOP_DATA": str(shop.folder)}
    shop.file("events/day1.csv", blocks["csv"][0])
    row = '{"sku": "i1", "name": "One", "description": "First", "status": "on", "tags": ["a"], "brand": "b", "colours": "red/blue"}\n'
    shop.file("catalogue.jsonl.gz", gzip.compress((row * 300).encode()))
    return shop


def message(findings):
    return "".join(f"{number}. {finding}\n" for number, finding in enumerate(findings, 1))


def test_messages_about_rows(page_shop, blocks):
    report = page_shop.validate()
    assert message(report.findings) == blocks["text"][1]
    assert report.num_rows == {"events": 1, "items": 300, "users": 0, "knowledge": 0}


def test_messages_about_files(page_shop, blocks):
    page_shop.settings["tables"]["events"][0]["columns"]["user_id"] = "customr"
    catalogue = page_shop.folder / "catalogue.jsonl.gz"
    # The catalogue lies below the dataset file here, so it is named from there; elsewhere it is named from the variable.
    catalogue.write_bytes(catalogue.read_bytes()[:-20])
    assert message(page_shop.validate().blocking) == blocks["text"][0].replace("${SHOP_DATA}/", "")


def test_the_join(shop, blocks):
    shop.csv("u1,i1,view,2024-06-28,,")
    shop.file("shelves.csv", "book,shelf\ni1,b\ni1,a\n")
    shop.file("books.csv", "id,title\ni1,One\n")
    (source,) = yaml.safe_load(blocks["yaml"][1])["items"]
    shop.settings["tables"]["items"] = [source | {"path": "books.csv"}]
    shop.ingest()
    assert shop.rows("raw_items", "item_id", "title", "tags") == [("i1", "One", ["a", "b"])]
