"""Interest points of a catalogue and how much of each item they are.

Points come from given tags, category levels, keyphrases of titles and texts, and themes;
weighing users by them is `ml.interests.profiles`. Shapes: I items, P points, D dimension.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.config.pipeline import InterestConfig
from ml.contracts.meaning import INTEREST_POINTS, ITEM_EMBEDDINGS, ITEM_INTERESTS
from ml.contracts.spaces import space_of
from ml.contracts.vectors import matrix_to_vectors, vectors_to_matrix
from ml.ids import FloatArray, Vocabulary
from ml.interests.candidates import Candidates, add_mentions, given_candidates, num_carriers, within_bounds
from ml.interests.keyphrases import choose_keyphrases
from ml.interests.phrases import find_phrases
from ml.interests.synonyms import NameVectors, merge_synonyms
from ml.interests.themes import theme_candidates
from ml.interests.weights import item_weights, point_vectors, specificity
from ml.words.cleaning import clean_texts
from ml.words.tokens import Tokens, tokenise


def find_interests(
    items: pa.Table, *, item_embeddings: pa.Table, config: InterestConfig, language: str, name_vectors: NameVectors | None = None
) -> tuple[pa.Table, pa.Table]:
    """The tables `interest_points` and `item_interests` of a catalogue, each sorted by key.

    An item of which any tag, category level or phrase is carried by enough items has at
    least one point, as far as `max_keyphrases` allows; one that says nothing has no rows.
    `language` is the dataset's: en, zh or auto. `name_vectors` gives names' vectors in the items' space;
    without it only names on the same items merge. Raises `UnknownIdError` for items without a
    vector and `EmbeddingSpaceError` for vectors of two spaces.
    """
    space_id = space_of(item_embeddings, name=ITEM_EMBEDDINGS.name)
    ordered = items.sort_by("item_id")
    vectors_ID = _vectors_of(ordered, item_embeddings=item_embeddings)
    candidates = _find_candidates(ordered, vectors_ID=vectors_ID, config=config, language=language)
    candidates = merge_synonyms(candidates, vectors_ID=vectors_ID, config=config, name_vectors=name_vectors)
    candidates = candidates.take(np.asarray(pc.array_sort_indices(candidates.ids), dtype=np.int64))
    ids = candidates.ids
    num_items_P = num_carriers(candidates.strength_IP)
    specificity_P = specificity(num_items_P, num_items=ordered.num_rows)
    weights_IP = item_weights(candidates.strength_IP, specificity_P=specificity_P)
    points = {
        "interest_id": ids,
        "name": candidates.names,
        "kind": candidates.kinds,
        "parent_id": pc.if_else(pc.is_in(candidates.parent_ids, value_set=ids), candidates.parent_ids, pa.scalar(None, pa.string())),
        "aliases": candidates.aliases,
        "num_items": num_items_P,
        "specificity": specificity_P,
        "space_id": pa.repeat(pa.scalar(space_id, pa.string()), len(candidates)),
        "vector": matrix_to_vectors(point_vectors(weights_IP, vectors_ID=vectors_ID)),
    }
    return INTEREST_POINTS.conform(pa.table(points)), _to_table(weights_IP, item_ids=ordered.column("item_id"), interest_ids=ids)


def _vectors_of(items: pa.Table, *, item_embeddings: pa.Table) -> FloatArray:
    embeddings = ITEM_EMBEDDINGS.conform(item_embeddings).sort_by("item_id")
    positions = Vocabulary("item embedding", embeddings.column("item_id")).positions(items.column("item_id"))
    return vectors_to_matrix(embeddings.column("vector"))[positions]


def _find_candidates(items: pa.Table, *, vectors_ID: FloatArray, config: InterestConfig, language: str) -> Candidates:
    tokens = tokenise(_texts_of(items), language=language)
    points = _named_candidates(items, tokens=tokens, vectors_ID=vectors_ID, config=config)
    if config.theme_weight == 0:
        return points
    return points.join(within_bounds(theme_candidates(items, tokens=tokens, vectors_ID=vectors_ID, config=config), config=config))


def _named_candidates(items: pa.Table, *, tokens: Tokens, vectors_ID: FloatArray, config: InterestConfig) -> Candidates:
    given = given_candidates(items, config=config)
    if config.keyphrase_weight == 0:
        return within_bounds(given, config=config)
    max_texts = int(config.max_item_share * items.num_rows)
    phrases = find_phrases(tokens, num_texts=items.num_rows, min_texts=config.min_items, max_texts=max_texts)
    mentioned, named_P = add_mentions(given, phrases=phrases, config=config)
    points = within_bounds(mentioned, config=config)
    has_point_I = np.diff(points.strength_IP.indptr) > 0
    return points.join(choose_keyphrases(phrases.keep(~named_P), vectors_ID=vectors_ID, has_point_I=has_point_I, config=config))


def _texts_of(items: pa.Table) -> pa.Array:
    """Title and text without markup; a title that is only an id says nothing."""
    title = pc.if_else(items.column("is_catalogued"), items.column("title"), "")
    return pc.binary_join_element_wise(clean_texts(title), clean_texts(items.column("text")), "\n| ")


def _to_table(weights_IP: sp.csr_array, *, item_ids: pa.ChunkedArray, interest_ids: pa.Array) -> pa.Table:
    pairs = weights_IP.tocoo()
    columns = {"item_id": item_ids.take(pa.array(pairs.row)), "interest_id": interest_ids.take(pa.array(pairs.col)), "weight": pairs.data}
    return ITEM_INTERESTS.conform(pa.table(columns).sort_by([("item_id", "ascending"), ("interest_id", "ascending")]))
