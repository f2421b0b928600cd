"""The files of published splits, found by `benchmarks.report.data_folder`, as `PublishedSplit`.

A reader per file layout; a split that is not on this machine is None. Counts are held against each folder's
DATA.md by the tests, here only what a layout promises is checked.
"""

import gzip
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.published.protocols import ALL_RANKING, NEXT_ITEM
from benchmarks.published.split import PublishedSplit, pairs_of
from benchmarks.report import data_folder
from ml.ids import IntArray

Reader = Callable[[str, Path], PublishedSplit]


def read_split(name: str) -> PublishedSplit | None:
    """The split of this folder name, None where it is not on this machine."""
    folder = data_folder(name)
    return None if folder is None else SPLITS[name](name, folder)


def read_lists(name: str, folder: Path) -> PublishedSplit:
    """`train.txt` and `test.txt` of NGCF, LightGCN and KGAT: `user item item ...`, positions from 0, users in order."""
    num_items = sum(1 for _ in _lines(folder / "item_list.txt.gz")) - 1
    train_UI, test_UI = (pairs_of(_lists(folder / f"{part}.txt.gz", first_user=0), num_items=num_items) for part in ("train", "test"))
    return PublishedSplit(name, ALL_RANKING, train_UI, test_UI)


def read_sequences(name: str, folder: Path) -> PublishedSplit:
    """`sequences.txt` of S3-Rec: `user item item ...`, oldest first, both counted from 1."""
    sequences = [items - 1 for items in _lists(folder / "sequences.txt.gz", first_user=1)]
    num_items = 1 + max(int(items.max()) for items in sequences)
    return _next_item(name, sequences, num_items=num_items)


def read_interactions(name: str, folder: Path, *, prefix: str) -> PublishedSplit:
    """`*.inter` of RecBole: user, history oldest first, target; of train a row per target, newest first.

    Histories are cut to their last 50 items, so what came before is read from the targets of earlier rows.
    """
    num_items = sum(1 for _ in _lines(folder / f"{prefix}.item2index.gz"))
    newest_first = {part: list(_rows(folder / f"{prefix}.{part}.inter.gz")) for part in ("test", "valid", "train")}
    sequences: dict[int, list[int]] = {}
    for user, history, target in reversed([row for rows in newest_first.values() for row in rows]):
        sequences.setdefault(user, history).append(target)
    _require_counted(sorted(sequences), first_user=0, path=folder)
    return _next_item(name, [np.array(sequences[user]) for user in range(len(sequences))], num_items=num_items)


def _next_item(name: str, sequences: Sequence[IntArray], *, num_items: int) -> PublishedSplit:
    """Leave one out: the last item is the test, the one before it validation, the others train."""
    train, validation, test = ([items[part] for items in sequences] for part in (slice(-2), slice(-2, -1), slice(-1, None)))
    train_UI, validation_UI, test_UI = (pairs_of(part, num_items=num_items) for part in (train, validation, test))
    return PublishedSplit(name, NEXT_ITEM, train_UI, test_UI, validation_UI, tuple(train))


def _lists(path: Path, *, first_user: int) -> list[IntArray]:
    """The items of every line; raises `ValueError` where users do not count up from `first_user`."""
    rows = [np.array(line.split(), dtype=np.int64) for line in _lines(path)]
    _require_counted([int(row[0]) for row in rows], first_user=first_user, path=path)
    return [row[1:] for row in rows]


def _rows(path: Path) -> Iterator[tuple[int, list[int], int]]:
    """User, history and target of every row below the header."""
    for line in islice(_lines(path), 1, None):
        user, history, target = line.split("\t")
        yield int(user), [int(item) for item in history.split()], int(target)


def _require_counted(users: Sequence[int], *, first_user: int, path: Path) -> None:
    if list(users) != list(range(first_user, first_user + len(users))):
        raise ValueError(f"{path}: users must be {first_user}, {first_user + 1} and so on, one line each")


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from lines


SPLITS: dict[str, Reader] = {
    "gowalla-lightgcn": read_lists,
    "amazon-book-kgat": read_lists,
    "s3rec-beauty": read_sequences,
    "s3rec-sports": read_sequences,
    "amazon-scientific-text": partial(read_interactions, prefix="Scientific"),
}
