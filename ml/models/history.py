"""What a user liked, as the linear models read it.

Shapes: U users, I items.
"""

import numpy as np
import scipy.sparse as sp

from ml.models.inputs import ModelInputs


def credible_pairs(liked_UI: sp.csr_array, inputs: ModelInputs) -> sp.csr_array:
    """The same pairs with their user's credibility for a weight: what others may learn from them."""
    if inputs.credibility_U is None:
        return liked_UI
    weighed_UI = sp.csr_array(sp.diags_array(inputs.credibility_U) @ liked_UI, dtype=np.float32)
    weighed_UI.sort_indices()
    return weighed_UI
