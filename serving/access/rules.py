"""Which scope a route needs: a table of the service's own, without which no route answers.

A route is named by its path as FastAPI has it, `/v1/items/{item_id}`, and its method.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from fastapi import FastAPI
from starlette.routing import Route, compile_path

from ml.errors import AccessError
from serving.access.keys import Scope

Needed = Scope | Literal["open"]


@dataclass(frozen=True)
class Match:
    """What the table says of a path: the route, the methods it takes, and the scopes this method needs; none needed: open."""

    route: str
    methods: frozenset[str]
    needed: frozenset[Scope]


class RouteRules:
    """Scopes by method and path pattern. `GET` covers `HEAD`.

    Where several patterns match a path, every scope any of them names is needed: which of
    them answers is the application's business, and a guess must not open the other.
    """

    def __init__(self, table: Mapping[tuple[str, str], Needed]) -> None:
        self.table = dict(table)
        self._patterns = [(compile_path(path)[0], path, method, needed) for (method, path), needed in self.table.items()]

    def match(self, method: str, path: str) -> Match | None:
        """What holds for a request; None where no pattern matches the path."""
        found = [(route, listed, needed) for pattern, route, listed, needed in self._patterns if pattern.match(path)]
        if not found:
            return None
        asked = "GET" if method == "HEAD" else method
        needed = frozenset(needed for _, listed, needed in found if listed == asked and needed != "open")
        methods = frozenset(listed for _, listed, _ in found)
        route = next((route for route, listed, _ in found if listed == asked), found[0][0])
        return Match(route, methods | {"HEAD"} if "GET" in methods else methods, needed)

    def check(self, app: FastAPI) -> None:
        """Raise `AccessError` where an application's routes and this table differ: a forgotten route, or one that is not there."""
        routes = set(_routes(app))
        forgotten = sorted(routes - set(self.table))
        absent = sorted(set(self.table) - routes)
        if forgotten:
            raise AccessError(f"routes without a scope: {_listed(forgotten)}; name each in the service's table of scopes")
        if absent:
            raise AccessError(f"the table of scopes names what is no route: {_listed(absent)}; take it out or mend its path")


def _routes(app: FastAPI) -> Iterable[tuple[str, str]]:
    for path, operations in app.openapi()["paths"].items():
        yield from ((method.upper(), path) for method in operations)
    for route in app.routes:
        if isinstance(route, Route):
            yield from ((method, route.path) for method in route.methods or () if method != "HEAD")


def _listed(routes: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{method} {path}" for method, path in routes)
