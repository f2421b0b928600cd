"""A conversation that refines an answer: what a turn means, and all turns so far as one state.

The state is small and the client's to keep: the service signs it and forgets it. Understanding is by names alone
(titles, attribute values, interests) after words of more and of less, in English and Chinese; what names nothing is a free
text, to look for or to keep away from.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import pyarrow as pa

from ml.names import normalise_names
from serving.catalogue import CATEGORY, TAGS
from serving.snapshot import Snapshot

Sense = Literal["more", "less"]
Kind = Literal["item", "attribute", "interest", "text", "nothing"]

# Longest first, so that "more like" is not read as "more" and then "like".
_MORE = ("more like", "similar to", "something like", "like", "more", "多来点", "多来一点", "更多", "多一点", "多点", "类似", "像")
_LESS = (
    "nothing like", "no more", "less of", "less like", "not like", "without", "nothing from", "nothing by", "anything but",
    "don't want", "do not want", "don't like", "do not like",
    "don't show me", "do not show me", "don't give me", "do not give me", "except", "fewer", "less", "not", "no",
    "不想要", "不想看", "不喜欢", "不要", "别给我", "少来点", "少一点", "少点", "除了", "没有", "别",
)  # fmt: skip
_SEPARATORS = re.compile(r"[,.;!?，。；！？、\n]+|(?<!\banything )\bbut\b|\band\b|但是|但|而且", re.IGNORECASE)
# What may stand before words of more and of less, and says nothing of its own.
_WISHING = re.compile(r"^(?:(?:please|can you|could you|show me|give me|i want|i would|i'd|i)\s+|请|我想要|我想看|我|给我)+", re.IGNORECASE)
_BEFORE = re.compile(r"^(?:(?:of|from|by|the|a|an|any|brand|given)\s+|品牌)+", re.IGNORECASE)
_AFTER = re.compile(r"(?:\s+(?:please|items?|things?|ones?)|(?<!个)牌子|的|东西)+$", re.IGNORECASE)
_POLITE = frozenset({"please", "thanks", "thank you", "请", "谢谢"})
_NUMBERED = {
    "this": 1, "that": 1, "it": 1, "first": 1, "second": 2, "third": 3,
    "这个": 1, "那个": 1, "第一个": 1, "第二个": 2, "第三个": 3,
}  # fmt: skip
# Words for an attribute that "this one's" may be followed by, beside the attribute's own name.
_ATTRIBUTE_WORDS = {
    "品牌": "brand",
    "牌子": "brand",
    "类别": CATEGORY,
    "类": CATEGORY,
    "标签": TAGS,
    "tag": TAGS,
    "颜色": "color",
    "材质": "material",
}
_OF_SHOWN = re.compile(rf"^(.+?)(?:'s|’s|的)?\s*(?:\s(\S+)|({'|'.join(word for word in _ATTRIBUTE_WORDS if not word.isascii())}))$")
MOST_TURNS = 50
# Each is read anew on every turn, which costs as much as a text that is looked for.
MOST_UNWANTED_TEXTS = 8
# Of what was said, kept in the state; what a text is looked for by is longer than that only on its own turn.
_MOST_CHARACTERS = 300


@dataclass(frozen=True)
class Understood:
    """One thing a turn said: more or less of an item, of what has some attribute, of an interest, or of a text.

    Kind nothing was about something that is not there ("the ninth one") and changes nothing.
    """

    sense: Sense
    kind: Kind
    id: str
    name: str

    def to_dict(self) -> dict[str, str]:
        """Plain values that JSON holds."""
        return {"sense": self.sense, "kind": self.kind, "id": self.id, "name": self.name}


@dataclass(frozen=True)
class Conversation:
    """All that was understood so far, a later word on the same thing in place of an earlier one."""

    said: tuple[Understood, ...] = field(default=())

    def then(self, turn: Sequence[Understood]) -> Self:
        """The conversation after one more turn; the oldest words are forgotten beyond `MOST_TURNS`. A new text replaces the last."""
        said = {_subject(word): word for word in self.said}
        for word in turn:
            if word.kind != "nothing":
                said.pop(_subject(word), None)
                said[_subject(word)] = word
        kept = tuple(said.values())[-MOST_TURNS:]
        unwanted = [word for word in kept if (word.kind, word.sense) == ("text", "less")]
        forgotten = unwanted[:-MOST_UNWANTED_TEXTS]
        return replace(self, said=tuple(word for word in kept if word not in forgotten))

    @property
    def text(self) -> str:
        """What to look for."""
        return next((word.name for word in self.said if (word.kind, word.sense) == ("text", "more")), "")

    @property
    def unwanted_texts(self) -> tuple[str, ...]:
        """What to keep away from, in words."""
        return tuple(word.name for word in self.said if (word.kind, word.sense) == ("text", "less"))

    def ids(self, kind: Kind, sense: Sense) -> tuple[str, ...]:
        """Items or interests of which more, or less, is wanted."""
        return tuple(word.id for word in self.said if (word.kind, word.sense) == (kind, sense))

    def attributes(self, sense: Sense) -> dict[str, list[str]]:
        """Values to have (more) or to avoid (less), by attribute."""
        found: dict[str, list[str]] = {}
        for word in self.said:
            if (word.kind, word.sense) == ("attribute", sense):
                found.setdefault(word.id, []).append(word.name)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds."""
        return {"said": [replace(word, name=word.name[:_MOST_CHARACTERS]).to_dict() for word in self.said]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote."""
        return cls(tuple(Understood(**word) for word in content["said"]))


def understand(say: str, *, snapshot: Snapshot, shown: Sequence[str] = ()) -> list[Understood]:
    """What a turn says; `shown` are the item ids of the last answer, which "the second one" is about."""
    words: list[Understood] = []
    rest = []
    for clause in _clauses(say):
        found = _of_clause(clause, snapshot=snapshot, shown=shown)
        if found is None:
            rest.append(clause)
        else:
            rest += [word.name for word in found if (word.kind, word.sense) == ("text", "more")]
            words += [word for word in found if (word.kind, word.sense) != ("text", "more")]
    if rest:
        words.append(Understood("more", "text", "", ", ".join(rest)))
    return words


def _clauses(say: str) -> Iterator[str]:
    for part in _SEPARATORS.split(say):
        clause = " ".join(part.split())
        if clause and clause.casefold() not in _POLITE:
            yield clause


def _of_clause(clause: str, *, snapshot: Snapshot, shown: Sequence[str]) -> list[Understood] | None:
    """What a clause of more or of less is about; None where it says no such word."""
    clause = _WISHING.sub("", clause)
    lowered = clause.casefold().replace("’", "'")
    senses: tuple[tuple[Sense, Sequence[str]], ...] = (("less", _LESS), ("more", _MORE))
    for sense, openings in senses:
        for opening in openings:
            if lowered.startswith(f"{opening} " if opening.isascii() else opening):
                subject = _AFTER.sub("", _BEFORE.sub("", clause[len(opening) :].strip())).strip()
                return _about(subject, sense=sense, snapshot=snapshot, shown=shown) if subject else None
    return None


def _about(subject: str, *, sense: Sense, snapshot: Snapshot, shown: Sequence[str]) -> list[Understood]:
    """What is known by that name; else the words themselves, or nothing where they point at an item that was not shown."""
    if _key(subject) in _NUMBERED and _NUMBERED[_key(subject)] > len(shown):
        return [Understood(sense, "nothing", "", subject)]
    found = _named(subject, sense=sense, snapshot=snapshot, shown=shown)
    if found is not None:
        return [found]
    return _values_of_shown(subject, sense=sense, snapshot=snapshot, shown=shown) or [Understood(sense, "text", "", subject)]


def _values_of_shown(subject: str, *, sense: Sense, snapshot: Snapshot, shown: Sequence[str]) -> list[Understood]:
    """What an item that was shown has of an attribute ("this brand", "the second one's category"); empty where no such thing is meant."""
    meant = _OF_SHOWN.match(subject)
    place = _NUMBERED.get(_key(_AFTER.sub("", meant[1]).strip())) if meant else None
    if meant is None or place is None:
        return []
    word = _key(meant[2] or meant[3])
    attribute = _ATTRIBUTE_WORDS.get(word, word)
    if attribute not in snapshot.catalogue.values:
        return []
    item = snapshot.catalogue.positions(shown[place - 1 : place])
    given = snapshot.catalogue.given(attribute, int(item[0])) if len(item) else ()
    # Of a category the levels above are had, too: the last is the item's own.
    values = given[-1:] if attribute == CATEGORY else given
    return [Understood(sense, "attribute", attribute, value) for value in values] or [Understood(sense, "nothing", "", subject)]


def _named(phrase: str, *, sense: Sense, snapshot: Snapshot, shown: Sequence[str]) -> Understood | None:
    """The item, attribute value or interest of that name; attributes before interests, since they are exact."""
    key = _key(phrase)
    place = _NUMBERED.get(key)
    if place is not None:
        item = snapshot.catalogue.positions([shown[place - 1]])
        if len(item):
            return Understood(sense, "item", shown[place - 1], snapshot.catalogue.title_I[int(item[0])])
    return _item(phrase, key, sense=sense, snapshot=snapshot) or _value(key, sense=sense, snapshot=snapshot)


def _item(phrase: str, key: str, *, sense: Sense, snapshot: Snapshot) -> Understood | None:
    catalogue = snapshot.catalogue
    if phrase in catalogue.items:
        return Understood(sense, "item", phrase, catalogue.title_I[int(catalogue.positions([phrase])[0])])
    found = snapshot.items_by_title.get(key)
    return None if found is None else Understood(sense, "item", found, phrase)


def _value(key: str, *, sense: Sense, snapshot: Snapshot) -> Understood | None:
    values = snapshot.catalogue.values
    for attribute in sorted(values, key=lambda name: (name == TAGS, name == CATEGORY, name)):
        if key in values[attribute]:
            return Understood(sense, "attribute", attribute, values[attribute][key])
    found = snapshot.interests_by_name.get(key)
    return None if found is None else Understood(sense, "interest", *found)


def _subject(word: Understood) -> tuple[str, ...]:
    if word.kind == "text":
        return ("text", word.name if word.sense == "less" else "")
    return (word.kind, word.id, word.name if word.kind == "attribute" else "")


def _key(name: str) -> str:
    key: str = normalise_names(pa.array([name], pa.string()))[0].as_py()
    return key
