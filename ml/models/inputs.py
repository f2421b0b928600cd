"""What every recommender is fitted on: one view of the world as of a moment.

Built from tables by `ml.training.inputs`. Shapes: U users, I items, D text dimensions.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import scipy.sparse as sp

from ml.graph.interest_graph import InterestGraph
from ml.ids import FloatArray, Vocabulary
from ml.models.histories import Histories


@dataclass(frozen=True)
class ModelInputs:
    """Users, items, interactions, text and graph, all known before `as_of`.

    `positives_UI` holds the time-decayed, damped weight of liked pairs (above 0, see
    `ml.interests.affinities`), `seen_UI` is 1 where the user met the item at all, disliked ones included. Items nobody
    met yet have empty columns but a row in `text_ID`; `graph` shares both
    vocabularies under "user" and "item". `credibility_U` says how much what each user did counts, in
    (0, 1]; None: all the same. The weights hold it already, models that look at less than those need it apart.
    `age_UI`, of the pattern of `positives_UI`, holds the days since each like, above 0; None where nobody knows the order.
    `price_I` are prices above 0 in one currency, nan where an item has none.
    """

    as_of: datetime
    users: Vocabulary
    items: Vocabulary
    positives_UI: sp.csr_array
    seen_UI: sp.csr_array
    text_ID: FloatArray
    graph: InterestGraph
    credibility_U: FloatArray | None = None
    age_UI: sp.csr_array | None = None
    price_I: FloatArray | None = None

    @property
    def histories(self) -> Histories:
        """What every user likes."""
        return Histories(self.positives_UI, self.age_UI)

    @property
    def credible_UI(self) -> sp.csr_array:
        """The liked pairs with their user's credibility for a weight, sorted, float32: what others may learn from them."""
        liked_UI = self.histories.liked_UI
        if self.credibility_U is None:
            return liked_UI
        weighed_UI = sp.csr_array(sp.diags_array(self.credibility_U) @ liked_UI, dtype=np.float32)
        weighed_UI.sort_indices()
        return weighed_UI
