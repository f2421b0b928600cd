"""What items of published splits are, where a split says: attributes or texts as unit vectors.

Published models that read them are the measure; models without any take nothing from here. Shapes: I items, A attributes, D dimensions.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.report import data_folder
from ml.config.pipeline import TextConfig
from ml.ids import FloatArray
from ml.text.encoder import load_encoder
from ml.unit_rows import unit_rows

Reader = Callable[[Path], FloatArray]


def read_item_vectors(name: str) -> FloatArray | None:
    """Vectors of the items of this split, rows of length 1 or 0, float32 [I, D]; None where it is not here or says nothing."""
    folder = data_folder(name)
    return None if folder is None or name not in ITEMS else ITEMS[name](folder)


def read_attributes(folder: Path) -> FloatArray:
    """`item2attributes.json` of S3-Rec, items from 1: an attribute counts the log of how few items have it, shape [I, A]."""
    with gzip.open(folder / "item2attributes.json.gz", "rt", encoding="utf-8") as handle:
        attributes = {int(item) - 1: found for item, found in json.load(handle).items()}
    item_index = np.repeat(list(attributes), [len(found) for found in attributes.values()])
    attribute_index = np.concatenate(list(attributes.values())).astype(np.int64)
    has_IA = np.zeros((max(attributes) + 1, attribute_index.max() + 1), dtype=np.float32)
    has_IA[item_index, attribute_index] = 1.0
    return unit_rows(has_IA * np.log(len(has_IA) / np.maximum(has_IA.sum(axis=0), 1.0)))


def read_texts(folder: Path) -> FloatArray:
    """`*.text` of UniSRec as the default encoder reads them, less what all have in common, shape [I, D]."""
    with gzip.open(folder / "Scientific.item2index.gz", "rt", encoding="utf-8") as handle:
        index = {item_id: int(position) for item_id, position in (line.split() for line in handle)}
    with gzip.open(folder / "Scientific.text.gz", "rt", encoding="utf-8") as handle:
        said = dict(line.rstrip("\n").split("\t", 1) for line in handle if line.split("\t", 1)[0] in index)
    texts = [said.get(item_id, "") for item_id in sorted(index, key=index.__getitem__)]
    vectors_ID = load_encoder(TextConfig(device="cpu")).encode(texts).vectors_ND
    return unit_rows(vectors_ID - vectors_ID.mean(axis=0))


ITEMS: dict[str, Reader] = {"s3rec-beauty": read_attributes, "s3rec-sports": read_attributes, "amazon-scientific-text": read_texts}
