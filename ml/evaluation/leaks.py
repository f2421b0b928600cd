"""What no test may do: ask for what the models were told.

Called before anything is measured; that nothing of later enters the inputs themselves is `ml.contracts.check_no_leakage`'s.
Shapes: U users, I items.
"""

import scipy.sparse as sp

from ml.errors import KnownAnswersError
from ml.graph.edge_types import DISLIKED, INTERACTED
from ml.models.inputs import ModelInputs


def require_unknown_answers(inputs: ModelInputs, *, relevant_UI: sp.csr_array) -> None:
    """Raise `KnownAnswersError` where a relevant pair is a like, a pair met or an edge of the inputs."""
    told = {
        "likes (positives_UI)": inputs.positives_UI,
        "pairs met (seen_UI)": inputs.seen_UI,
        "the graph's likes": inputs.graph.adjacency(INTERACTED),
        "the graph's dislikes": inputs.graph.adjacency(DISLIKED),
    }
    asked_UI = sp.csr_array(relevant_UI != 0, dtype=int)
    for place, known_UI in told.items():
        num_known = sp.csr_array(asked_UI.multiply(known_UI != 0)).count_nonzero()
        if num_known:
            raise KnownAnswersError(place, num_pairs=int(num_known))
