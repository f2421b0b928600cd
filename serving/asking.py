"""What is asked for, once it is known to be well formed: who asks, what they say, and which items may be the answer.

Shapes: I items of the catalogue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from ml.ids import BoolArray
from serving.catalogue import Catalogue
from serving.feedback.statements import UserFeedback


@dataclass(frozen=True)
class Limits:
    """Which items may be offered: all but `exclude`, of `allow` where it is given, that have a value of each filter and none to avoid."""

    exclude: frozenset[str] = frozenset()
    allow: frozenset[str] | None = None
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    avoid: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def is_narrow(self) -> bool:
        """Whether a part of the catalogue was asked for."""
        return self.allow is not None or bool(self.filters)

    def offered(self, catalogue: Catalogue) -> BoolArray:
        """True where an item may be offered, shape [I]; an attribute no item has matches nothing."""
        offered_I = np.ones(len(catalogue), dtype=np.bool_) if self.allow is None else catalogue.mask(sorted(self.allow))
        offered_I &= ~catalogue.mask(sorted(self.exclude))
        for name, wanted in self.filters.items():
            offered_I &= catalogue.having(name, wanted)
        for name, unwanted in self.avoid.items():
            offered_I &= ~catalogue.having(name, unwanted)
        return offered_I


@dataclass(frozen=True)
class Asked:
    """One question: a user, a text, or both, or neither; `user_id` is an inside id.

    More and less may be wanted of what is like some items, and of some interests, both by id,
    and less of what some words mean.
    """

    now: datetime
    user_id: str | None = None
    text: str = ""
    said: UserFeedback = field(default_factory=UserFeedback)
    more_like: tuple[str, ...] = ()
    less_like: tuple[str, ...] = ()
    more_of: tuple[str, ...] = ()
    less_of: tuple[str, ...] = ()
    unwanted_texts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
