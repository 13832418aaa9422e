"""What the layer above the backends needs of them, and the error that names what is missing."""

from typing import Protocol, cast

from sessionkit.defaults import Support, capabilities, with_defaults
from sessionkit.errors import UnsupportedOperationError
from sessionkit.protocol import (
    OPTIONAL_PROTOCOLS,
    CoreBackend,
    SessionBackend,
    SupportsTurns,
    SupportsTurnState,
    SupportsWrite,
)


class Store(SessionBackend, SupportsWrite, SupportsTurns, SupportsTurnState, Protocol):
    """**Protocol:** all that this layer may call; `require` has checked for the part that its caller does."""

    __slots__ = ()


def require(backend: CoreBackend, what: str, *needs: str) -> Store:
    """The backend with all 22 methods, once it is known to offer what is needed.

    Args:
        backend: any object with the four required methods.
        what: what needs it, for the error: ``"turn()"``.
        needs: names of optional protocols and of provided methods; a default that works will do.

    Raises:
        TypeError: it is no backend.
        UnsupportedOperationError: it does not offer one of them; the message names it.
    """
    whole = with_defaults(backend)
    offered = capabilities(whole)
    for name in needs:
        if name in OPTIONAL_PROTOCOLS:
            missing = f"{OPTIONAL_PROTOCOLS[name]}(), the protocol {name}" if name not in offered.protocols else ""
        else:
            missing = f"{name}()" if offered.methods[name] is Support.UNSUPPORTED else ""
        if missing:
            kind = type(getattr(whole, "__wrapped__", whole)).__name__
            msg = f"{kind} offers no {missing}, which {what} needs"
            raise UnsupportedOperationError(msg)
    return cast("Store", whole)
