"""The edge types that the graph knows by name; knowledge relations come with the data and are not listed.

Of a symmetric type one direction is stored, from the lower position (the lower id) to the higher.
"""

from ml.graph.interest_graph import EdgeType

INTERACTED = EdgeType("user", "interacted", "item")
DISLIKED = EdgeType("user", "disliked", "item")
HAS_INTEREST = EdgeType("user", "has_interest", "interest")
ABOUT = EdgeType("item", "about", "interest")
SIMILAR = EdgeType("item", "similar", "item")
WITHIN = EdgeType("interest", "within", "interest")
FRIEND = EdgeType("user", "friend", "user")

BEHAVIOUR = (INTERACTED, DISLIKED)
SYMMETRIC = (SIMILAR, FRIEND)
