"""What a feature look-up may ask, said before Feast sees it.

Feast 0.67 answers a caller's mistake as its own failure (500); here it is a refusal that says what to send.
"""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from serving.access.guard import BodyCheck
from serving.problems import Problem


def look_up_check(
    key_of: Callable[[str], str | None], *, max_entities: int, features_of: Callable[[str], Collection[str] | None] = lambda _: None
) -> BodyCheck:
    """A check of the body of Feast's `/get-online-features`.

    `key_of` gives the entity key that a feature service or a feature view needs, None where it is
    for Feast to say that there is none; `features_of` what a view holds, None where nobody knows.
    What is no JSON object is left for Feast to refuse, too.
    """

    def check(body: bytes) -> Problem | None:
        try:
            wish = json.loads(body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(wish, dict):
            return None
        wrong = _wrong_names(wish, features_of) or _wrong_entities(wish.get("entities"), needed=_needed(wish, key_of))
        if wrong:
            return Problem(422, "invalid-request", wrong)
        asked = max(len(ids) for ids in wish["entities"].values())
        if asked <= max_entities:
            return None
        detail = f"{asked} entities were asked for, one request may ask for {max_entities} (serving.max_entities); ask in several"
        return Problem(422, "too-many-entities", detail)

    return check


def _wrong_names(wish: Mapping[str, Any], features_of: Callable[[str], Collection[str] | None]) -> str | None:
    service, features = wish.get("feature_service"), wish.get("features")
    if isinstance(service, str) and service:
        return None
    is_list = isinstance(features, list) and all(isinstance(name, str) and all(name.partition(":")) for name in features)
    if not features or not is_list:
        return 'name what to look up: "feature_service": NAME, or "features": ["VIEW:FEATURE", ...]'
    if len(set(features)) < len(features):
        return "features: one is named twice; name each once"
    for view, _, feature in (name.partition(":") for name in features):
        if "@" in view:
            return "features: a view has no versions here; name it without @"
        held = features_of(view)
        if held is not None and feature not in held:
            return f"features: {view} holds no such feature; it holds {', '.join(sorted(held))}"
    return None


def _needed(wish: Mapping[str, Any], key_of: Callable[[str], str | None]) -> set[str]:
    names = [wish["feature_service"]] if wish.get("feature_service") else [name.partition(":")[0] for name in wish.get("features") or ()]
    return {key for key in map(key_of, filter(lambda name: isinstance(name, str), names)) if key is not None}


def _wrong_entities(entities: object, *, needed: set[str]) -> str | None:
    if not isinstance(entities, dict) or not entities or not all(map(_is_ids, entities.values())):
        return 'give "entities": an object with a list of ids, at least one, for each key'
    if len({len(ids) for ids in entities.values()}) > 1:
        return "entities: every key needs a list of the same length, one id a row"
    missing = sorted(needed - set(entities))
    return f"entities lack the key {', '.join(missing)}, which this look-up needs" if missing else None


def _is_ids(ids: object) -> bool:
    return isinstance(ids, list) and bool(ids) and all(map(_is_id, ids))


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        # Half of a pair of surrogates, which JSON can write and no store can hold.
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    return isinstance(value, int) and not isinstance(value, bool)
