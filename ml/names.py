"""One spelling per name, so that two writings of it give one id.

Used wherever a name given by people becomes part of an id: interest points,
knowledge entities, relation names. What a name means stays out.
"""

import re
import unicodedata
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc


def normalise_names(names: pa.Array | pa.ChunkedArray) -> pa.Array:
    """NFKC, casefolded, whitespace squeezed; nulls stay null. Shape [N]."""
    return _map_distinct(names, _normalise)


def snake_case_names(names: pa.Array | pa.ChunkedArray) -> pa.Array:
    """`releaseYear`, `Release-Year` and `release year` as `release_year`; other scripts keep their letters. Shape [N]."""
    return _map_distinct(names, _snake_case)


def _map_distinct(names: pa.Array | pa.ChunkedArray, function: Callable[[str], str]) -> pa.Array:
    encoded = pc.dictionary_encode(names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names)
    mapped = pa.array([function(name) for name in encoded.dictionary.to_pylist()], pa.string())
    return mapped.take(encoded.indices)


def _normalise(name: str) -> str:
    # Casefolding may leave a form that NFKC would compose again, hence the second pass.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def _snake_case(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", unicodedata.normalize("NFKC", name))
    return re.sub(r"[\W_]+", "_", _normalise(spaced)).strip("_")
