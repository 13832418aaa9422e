"""Tests of the `sessionkit` command."""
