"""Sentences of a language model: one that names nothing but the path is used, any other leaves the template."""

import json
from dataclasses import replace

import pytest

from ml.config.pipeline import ExtractorConfig
from ml.errors import ExtractorError
from ml.knowledge.extraction import Completion
from ml.ranking.attribution import Reason
from ml.ranking.sentences import names_only_its_path, read_sentence, request_body, rewritten

ENTITY = Reason(
    "entity",
    ("user:u1", "interacted", "item:i1", "made_by", "entity:acme", "made_by", "item:i2"),
    0.1,
    'Because you liked "Trail boot": same made by, Acme',
    ("Trail boot", "Acme", "Rain jacket"),
)
OTHERS = Reason(
    "others",
    ("user:u1", "interacted", "item:i1", "interacted", "user:secret", "interacted", "item:i2"),
    0.1,
    'Liked by 12 of the people who liked "Trail boot", as you did',
    ("Trail boot", "Rain jacket"),
)
CHINESE = Reason(
    "about",
    ("user:u1", "interacted", "item:i1", "about", "interest:登山", "about", "item:i2"),
    0.1,
    "因为你喜欢“登山靴”：两者都与登山有关",
    ("登山靴", "登山", "雨衣"),
)
CONFIG = ExtractorConfig(url="http://localhost/v1", model="m")


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (ENTITY, "You liked the Trail boot, and this one is made by Acme too."),
        (ENTITY, "Since you enjoyed “Trail boot”, you may like Rain jacket, also made by Acme!"),
        (ENTITY, "ACME also made this, and you like the trail boot"),
        (OTHERS, "12 of the people who liked Trail boot, as you did, also liked this."),
        (CHINESE, "你喜欢“登山靴”，而“雨衣”也与登山有关。"),
    ],
)
def test_a_sentence_of_plain_words_and_names_on_the_path_is_used(reason, sentence) -> None:
    assert names_only_its_path(sentence, reason=reason)
    assert read_sentence(json.dumps({"sentence": sentence}), reason=reason) == sentence


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (ENTITY, "You liked the Trail boot, and this is made by Acme and Gore."),
        (ENTITY, "You liked the Trail boot, and this award-winning item is made by Acme."),
        (ENTITY, "You liked the Trail boot by Edmund Hillary."),
        (ENTITY, "Acme made it in 1953."),
        (ENTITY, "Acme made two of them."),
        (ENTITY, "You did not like the Trail boot by Acme."),
        (ENTITY, "You don't like Acme."),
        (ENTITY, "You will like this."),
        (ENTITY, "Acme, see https://acme.example"),
        (ENTITY, "Acme\nLiked by you"),
        (ENTITY, "Acme " + "and you " * 60),
        (ENTITY, "Вам нравится Acme"),
        (ENTITY, ""),
        (OTHERS, "13 of the people who liked Trail boot also liked this."),
        (OTHERS, "secret liked Trail boot and also this."),
        (replace(ENTITY, names=("Not Alone",), text='Because you liked "Not Alone": same made by, Acme'), "Not you, Not Alone"),
        (CHINESE, "你喜欢“登山靴”，张艺谋也喜欢雨衣。"),
        (CHINESE, "你不喜欢登山靴。"),
        (CHINESE, "你喜欢登山靴，这款雨衣获得过奥斯卡奖。"),
    ],
)
def test_a_sentence_that_says_anything_else_is_refused(reason, sentence) -> None:
    assert not names_only_its_path(sentence, reason=reason)


@pytest.mark.parametrize("content", ["", "Acme", "[]", '{"sentence": 1}', '{"sentence": "Acme", "more": "x"}', '{"sentence": ""}'])
def test_an_answer_outside_the_schema_is_refused(content) -> None:
    assert read_sentence(content, reason=ENTITY) is None


class Scripted:
    """An endpoint that gives its answers in turn and keeps what it was asked."""

    def __init__(self, *answers) -> None:
        self.answers, self.bodies = list(answers), []

    def complete(self, body):
        self.bodies.append(body)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return None if answer is None else Completion(json.dumps({"sentence": answer}), 1)


def test_the_template_stands_where_the_model_fails() -> None:
    endpoint = Scripted("You like Acme.", "Loved by Gore.", None)
    told = rewritten([ENTITY, ENTITY, ENTITY], endpoint=endpoint, config=CONFIG)
    assert [one.text for one in told] == ["You like Acme.", ENTITY.text, ENTITY.text]
    assert [(one.path, one.share) for one in told] == [(ENTITY.path, ENTITY.share)] * 3


def test_reasons_without_a_path_are_not_sent() -> None:
    popular = Reason("popular", (), 0.0, "Popular: liked by 2 so far")
    assert rewritten([popular], endpoint=Scripted(), config=CONFIG) == [popular]


def test_an_endpoint_that_is_no_use_says_so() -> None:
    with pytest.raises(ExtractorError, match="status 401"):
        rewritten([ENTITY], endpoint=Scripted(ExtractorError("http://x", "status 401", "set the key")), config=CONFIG)


def test_nothing_of_another_person_is_sent() -> None:
    body = request_body(OTHERS, config=CONFIG)
    assert "secret" not in json.dumps(body)
    assert "u1" not in json.dumps(body["messages"][1])
    assert json.loads(body["messages"][1]["content"]) == {"names": ["Trail boot", "Rain jacket"], "sentence": OTHERS.text}
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["sentence"]
