"""Splits others published figures on, and the questions and measures that go with them."""
