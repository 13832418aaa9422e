"""The parts of the suite, an area of the contract each, and the class that combines them."""

import sessionkit.testing._asserts  # noqa: F401  # pyright: ignore[reportUnusedImport] -- before the parts
from sessionkit.testing.suite.arguments import ArgumentPromises
from sessionkit.testing.suite.base import Grade
from sessionkit.testing.suite.checking import CheckPromises
from sessionkit.testing.suite.counts import CountPromises
from sessionkit.testing.suite.filters import FilterPromises
from sessionkit.testing.suite.first import FirstPromises
from sessionkit.testing.suite.honesty import HonestyPromises
from sessionkit.testing.suite.keys import KeyPromises
from sessionkit.testing.suite.listing import ListingPromises
from sessionkit.testing.suite.machine import MachinePromises
from sessionkit.testing.suite.messages import MessagePromises
from sessionkit.testing.suite.naming import NamingPromises
from sessionkit.testing.suite.outliving import OutlivingPromises
from sessionkit.testing.suite.processes import ProcessPromises
from sessionkit.testing.suite.promises import Promise, promise, promise_of, promises_of
from sessionkit.testing.suite.removal import RemovalPromises
from sessionkit.testing.suite.restoring import RestorePromises
from sessionkit.testing.suite.revisions import RevisionPromises
from sessionkit.testing.suite.search import SearchPromises
from sessionkit.testing.suite.states import StatePromises
from sessionkit.testing.suite.tail import TailPromises
from sessionkit.testing.suite.threads import ThreadPromises
from sessionkit.testing.suite.trouble import TroublePromises
from sessionkit.testing.suite.turn_races import TurnRacePromises
from sessionkit.testing.suite.turn_states import TurnStatePromises
from sessionkit.testing.suite.turns import TurnPromises
from sessionkit.testing.suite.writes import WritePromises

__all__ = ["Grade", "Promise", "SessionBackendSuite", "promise", "promise_of", "promises_of"]


class SessionBackendSuite(
    MessagePromises,
    TailPromises,
    FirstPromises,
    KeyPromises,
    ListingPromises,
    CountPromises,
    NamingPromises,
    StatePromises,
    SearchPromises,
    FilterPromises,
    RemovalPromises,
    WritePromises,
    RevisionPromises,
    TurnPromises,
    TurnStatePromises,
    RestorePromises,
    CheckPromises,
    ArgumentPromises,
    HonestyPromises,
    MachinePromises,
    ThreadPromises,
    TurnRacePromises,
    OutlivingPromises,
    TroublePromises,
    ProcessPromises,
):
    """What the contract promises, a test each. Subclass it, and write `make_backend`; see `sessionkit.testing`."""
