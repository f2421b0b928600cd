"""The dataset file that reads the landing files, as text. Its format is that of every dataset file."""

from datetime import date

NAME = "shop"

_TEXT = """\
# The bundled sample. Written by examples/shop; what it holds is described in docs/sample.md.
name: shop
language: auto
timezone: UTC
start: {start}

tables:
  events:
    - path: events/*.csv.gz
      columns:
        user_id: customer
        item_id: sku
        event_type: action
        event_at: occurred_at
        session_id: visit
    - path: feedback/*.jsonl.gz
      columns:
        user_id: customer
        item_id: sku
        event_type: kind
        event_at: posted_at
        value: stars
        text: body
    - path: searches.csv
      columns:
        user_id: customer
        event_type: "'search'"
        event_at: searched_at
        text: query
        session_id: visit
  items:
    - path: catalogue/items.jsonl
      columns:
        item_id: sku
        title: name
        text: description
        category: department || ' > ' || shelf
        tags: labels
        attributes: json_merge_patch(attributes::json, json_object('price', price))
        created_at: listed_at
  users:
    - path: users.csv
      columns:
        user_id: customer
        attributes: json_object('language', language, 'region', region, 'joined_on', joined_on, 'birth_decade', birth_decade)
  knowledge:
    - path: catalogue/knowledge.csv
      columns:
        head: head
        relation: relation
        tail: tail

# What an event is worth; a search says something about interests, nothing about an item.
weights:
  view: 1
  cart: 2
  purchase: 4
  rating: 2 * (value - 3)
  review: 2 * (value - 3)
  search: 0
"""


def dataset_text(start: date) -> str:
    """The dataset file of a sample that begins on `start`."""
    return _TEXT.format(start=start)
