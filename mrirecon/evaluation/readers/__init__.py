"""Blinded reader studies: random, nameless series out; scores of people in."""
