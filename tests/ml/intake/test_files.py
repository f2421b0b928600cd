"""Which files a source names, what they are called, and when the fingerprint changes."""

import os

import pytest

from ml.errors import DatasetError
from ml.intake.files import dataset_fingerprint, find_files


def names(shop):
    dataset = shop.load()
    return [file.name for file in find_files(dataset, dataset.tables.events[0])]


def test_globs_are_sorted_and_named_from_the_dataset_file(shop):
    for name in ("b/2.csv", "a/1.csv", "a/deep/3.csv", "a/note.md"):
        shop.file(name, "x")
    shop.events["path"] = "**/*.csv"
    assert names(shop) == ["a/1.csv", "a/deep/3.csv", "b/2.csv"]


def test_files_below_a_variable_are_named_from_it(shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere [1]")
    (folder / "events.csv").write_text("x")
    shop.variables = {"SHOP_DATA": str(folder)}
    shop.events["path"] = "${SHOP_DATA}/events.csv"
    assert names(shop) == ["${SHOP_DATA}/events.csv"]


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("event.csv", "did you mean 'events.csv'?"),
        ("none/*.csv", "no file matches"),
        ("none/events.csv", "does not exist"),
        ("shop.yaml", "of no known kind"),
    ],
)
def test_what_is_not_there_is_named(shop, path, word):
    shop.file("events.csv", "x")
    shop.events["path"] = path
    with pytest.raises(DatasetError) as caught:
        names(shop)
    assert word in str(caught.value)


def test_the_fingerprint_follows_every_landing_file(shop):
    shop.csv("u,i,view,2024-06-01,,")
    items = shop.file("tags.csv", "id,tag\n")
    shop.events.update({"lookups": {"tags": {"path": "t*.csv"}}, "join": "left join tags on tags.id = source.item"})
    seen = {dataset_fingerprint(shop.load())}
    assert dataset_fingerprint(shop.load()) in seen
    for change in (
        lambda: os.utime(items, ns=(1, 1)),
        lambda: shop.csv("u,i,view,2024-06-01,,", "u,i,view,2024-06-01,,"),
        lambda: shop.file("tags2.csv", "id,tag\n"),
        lambda: shop.settings["weights"].update(cart=2),
    ):
        change()
        fingerprint = dataset_fingerprint(shop.load())
        assert fingerprint not in seen
        seen.add(fingerprint)
