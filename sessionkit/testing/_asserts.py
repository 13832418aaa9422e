"""Has pytest rewrite the asserts of the suite, or they could not explain themselves where it is installed.

Imported before its parts are, as no later import of them could be rewritten.
"""

import pkgutil
from pathlib import Path

import pytest

_PARTS = pkgutil.iter_modules([str(Path(__file__).with_name("suite"))])

pytest.register_assert_rewrite(*(f"sessionkit.testing.suite.{part.name}" for part in _PARTS))
