"""Tests of the conformance suite's own machinery; `tests.mutants` tests what the suite catches."""
