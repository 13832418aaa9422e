"""The tests of sessionkit. Each file mirrors a module; `tests.strategies` has what Hypothesis draws from."""
