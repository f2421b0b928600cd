"""The form in which all that reads texts takes them."""

import pyarrow as pa
import pyarrow.compute as pc


def whole_texts(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array of strings, shape [N]; null is the empty text."""
    array = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    return pc.fill_null(array.cast(pa.string()), "")
