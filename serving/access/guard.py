"""The guard in front of every route: who asks, whether they may, how often, how much.

An ASGI middleware around the whole application, documentation included. In order:
the key, the caller's rate, the route, its scope, the body, a free place; the first
that does not hold answers.
"""

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from ml.config.pipeline import ServingConfig
from ml.errors import AccessError
from serving.access.binding import is_loopback
from serving.access.bodies import ClientGoneError, read_body, replay
from serving.access.keys import Key, KeyRing
from serving.access.limits import Slots, TokenBuckets, address_group, whole_seconds
from serving.access.rules import Match, RouteRules
from serving.problems import Problem, Refused
from serving.record import record_of

CREDENTIALS = frozenset({b"authorization", b"x-api-key"})
_OVERLOAD_WAIT_SECONDS = 1.0
BodyCheck = Callable[[bytes], Problem | None]


class Guard:
    """Lets a request through to `app`, or answers it with a problem.

    `body_checks` hold further limits by route: each sees a whole body and gives a problem or None.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        rules: RouteRules,
        keys: KeyRing,
        config: ServingConfig,
        body_checks: Mapping[str, BodyCheck] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._rules = rules
        self._keys = keys
        self._config = config
        self._body_checks = dict(body_checks or {})
        self._slots = Slots(config.max_in_flight)
        # Apart, so that many strange addresses cannot push a key's count out.
        self._key_rates, self._address_rates = (
            TokenBuckets(rate=config.requests_per_second, burst=config.burst, max_callers=config.max_callers, clock=clock) for _ in range(2)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            try:
                await self._answer(scope, receive, send)
            except Refused as refused:
                record_of(scope).problem = refused.problem.name
                await refused.problem.send(send)
            except ClientGoneError:
                record_of(scope).problem = "client-gone"
        else:
            # No route of ours is a WebSocket; closing before accepting answers 403.
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = self._rules.match(scope["method"], _route_path(scope))
        if match is not None:
            record_of(scope).route = match.route
        is_open = match is not None and scope["method"] in match.methods and not match.needed
        if not is_open:
            self._admit(scope, match)
        config = self._config
        body = await read_body(
            receive, headers=scope["headers"], max_bytes=config.max_body_bytes, timeout_seconds=config.body_timeout_seconds
        )
        self._check_body(body, match)
        # FastAPI's routes know no HEAD; the server leaves out the body of what GET answers.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        behind = {**scope, "method": method, "headers": [pair for pair in scope["headers"] if pair[0] not in CREDENTIALS]}
        # Health must be told also when every place is taken.
        if is_open:
            await self._app(behind, replay(body, receive), send)
            return
        if not self._slots.enter():
            raise Refused(_overloaded(config.max_in_flight))
        try:
            await self._app(behind, replay(body, receive), send)
        finally:
            self._slots.leave()

    def _admit(self, scope: Scope, match: Match | None) -> None:
        address = address_group(scope["client"][0] if scope.get("client") else "")
        try:
            key = self._caller(scope)
        except Refused:
            self._count(self._address_rates, address)
            raise
        if key is None:
            self._count(self._address_rates, address)
        else:
            record_of(scope).key_id = key.id
            self._count(self._key_rates, key.id)
        if match is None:
            raise Refused(Problem(404, "no-such-route", "nothing answers at this path; /openapi.json lists the routes"))
        if scope["method"] not in match.methods:
            allowed = ", ".join(sorted(match.methods))
            raise Refused(Problem(405, "wrong-method", f"this route takes {allowed}", {"allow": allowed}))
        if key is not None and not match.needed <= set(key.scopes):
            raise Refused(_wrong_scope(key, match))

    def _caller(self, scope: Scope) -> Key | None:
        """The key of a request, None where none is needed."""
        try:
            if not self._keys.is_required():
                _check_local(scope)
                return None
            key = self._keys.find(_credential(scope))
        except AccessError as error:
            # The log of the service has what is wrong; a caller must not learn about files.
            record_of(scope).error = str(error)
            detail = "the service cannot read its API keys and lets nobody in; whoever runs it finds the cause in its log"
            raise Refused(Problem(503, "keys-unreadable", detail, {"retry-after": "5"})) from error
        if key is None:
            raise Refused(_unauthorized("this API key is unknown, revoked or expired; ask for a live one", sent=True))
        return key

    @staticmethod
    def _count(rates: TokenBuckets, caller: str) -> None:
        wait = rates.take(caller)
        if wait > 0:
            seconds = whole_seconds(wait)
            detail = f"too many requests; the next one is taken in {seconds} s (serving.requests_per_second, serving.burst)"
            raise Refused(Problem(429, "rate-limited", detail, {"retry-after": seconds}))

    def _check_body(self, body: bytes, match: Match | None) -> None:
        check = self._body_checks.get(match.route) if match else None
        problem = check(body) if check else None
        if problem is not None:
            raise Refused(problem)


def _route_path(scope: Scope) -> str:
    """The path as the application's router sees it, behind a proxy's prefix."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _credential(scope: Scope) -> str:
    """The one key sent; raises `Refused` where there is none, or two that differ."""
    found: set[bytes] = set()
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            found.add(value.strip())
        elif name == b"authorization":
            kind, _, token = value.strip().partition(b" ")
            if kind.lower() != b"bearer" or not token.strip():
                raise Refused(_unauthorized("the Authorization header must read: Bearer KEY", sent=True))
            found.add(token.strip())
    if len(found) > 1:
        raise Refused(_unauthorized("two different API keys were sent; send one", sent=True))
    if not found or found == {b""}:
        raise Refused(_unauthorized("send an API key, as the header `Authorization: Bearer KEY` or `X-API-Key: KEY`", sent=False))
    return found.pop().decode("latin-1")


def _check_local(scope: Scope) -> None:
    """Without keys only this machine may ask, and no web page that a browser here happens to show.

    A page elsewhere can have a browser ask loopback, by another name for it or across origins; both headers tell.
    """
    names = [str((scope.get("server") or ("",))[0])]
    names += [_hostname(f"//{value.decode('latin-1')}") for name, value in scope["headers"] if name == b"host"]
    names += [_hostname(value.decode("latin-1")) for name, value in scope["headers"] if name == b"origin"]
    if not all(is_loopback(name) for name in names):
        detail = (
            "without API keys only this machine is answered, asked as localhost or 127.0.0.1 and from no other site's page; "
            "make a key (interest-graph keys create) to ask from elsewhere"
        )
        raise Refused(Problem(403, "not-local", detail))


def _hostname(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _unauthorized(detail: str, *, sent: bool) -> Problem:
    challenge = 'Bearer realm="interest-graph"' + (', error="invalid_token"' if sent else "")
    return Problem(401, "unauthorized", detail, {"www-authenticate": challenge})


def _wrong_scope(key: Key, match: Match) -> Problem:
    needed = ", ".join(sorted(match.needed))
    detail = f"this route needs a key with scope {needed}; yours ({key.id}) has {', '.join(key.scopes)}"
    challenge = f'Bearer realm="interest-graph", error="insufficient_scope", scope="{" ".join(sorted(match.needed))}"'
    return Problem(403, "wrong-scope", detail, {"www-authenticate": challenge})


def _overloaded(limit: int) -> Problem:
    detail = f"{limit} requests are being answered, and none waits for a place (serving.max_in_flight); try again in a second"
    return Problem(503, "overloaded", detail, {"retry-after": whole_seconds(_OVERLOAD_WAIT_SECONDS)})
