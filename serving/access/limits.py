"""How much a caller may ask, and how much is worked on at once.

A caller's rate is a token bucket (https://en.wikipedia.org/wiki/Token_bucket);
what a caller is, a key or an address, is for `serving.access.guard` to say.
"""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable


class TokenBuckets:
    """A bucket per caller: `burst` tokens when full, `rate` new ones a second, one taken by a request.

    Not more than `max_callers` are remembered. The one not seen for longest is forgotten
    first, which gives it a full bucket again.
    """

    def __init__(self, *, rate: float, burst: int, max_callers: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._max_callers = max_callers
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, caller: str) -> float:
        """Take a token: 0.0 where there was one, else the seconds until there is; a refused request takes none."""
        now = self._clock()
        tokens, at = self._buckets.pop(caller, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        is_allowed = tokens >= 1
        self._buckets[caller] = (tokens - is_allowed, now)
        if len(self._buckets) > self._max_callers:
            self._buckets.popitem(last=False)
        return 0.0 if is_allowed else (1 - tokens) / self._rate


class Slots:
    """Places for requests that are worked on; nobody queues for one."""

    def __init__(self, number: int) -> None:
        self._free = number

    def enter(self) -> bool:
        """Take a place; False where none is free."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    def leave(self) -> None:
        """Give the place back."""
        self._free += 1


def whole_seconds(wait: float) -> str:
    """A wait in seconds as `Retry-After` has it: whole, never too short, at least 1."""
    return str(max(1, math.ceil(wait)))


def address_group(address: str) -> str:
    """Whom an address stands for: itself, or of IPv6 its /64, for one host has all of that."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
