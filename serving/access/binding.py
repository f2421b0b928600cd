"""Where a service may listen: on loopback, and elsewhere only behind API keys."""

import ipaddress

from ml.errors import AccessError
from serving.access.keys import KeyRing


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine talking to itself; a name other than localhost never is."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_binding(host: str, *, keys: KeyRing) -> None:
    """Raise `AccessError` where an address that is not loopback would be served without a live key, or the key file is wrong."""
    has_live = keys.has_live()
    if is_loopback(host) or has_live:
        return
    raise AccessError(
        f"{host or 'every address'} is not loopback, and {keys.path} holds no live API key: anybody could ask. "
        "Make one (interest-graph keys create --name NAME --scope read), or listen on 127.0.0.1"
    )
