"""Deliberately broken backends, one bug of real stores each, that the conformance suite must catch."""
