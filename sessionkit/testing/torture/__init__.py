"""Torture: processes that write to one store are killed again and again, and nothing acknowledged may be lost.

``python -m sessionkit.testing.torture URL [--seconds N --processes P --seed S --json]``, on whatever the URL opens::

    python -m sessionkit.testing.torture sqlite:////tmp/torture/{store}.db --seconds 60

Some processes append, extend, replace, remove, clear, delete, restore, name, compact, search, list and load, in
sessions of their own and in sessions that all of them write to. Each is killed with SIGKILL after a number of steps
that follows from the seed, in its work, in opening or in closing the store, and another is started in its place; some
are stopped for a moment, some end by themselves. Each step is announced before it begins, and answered once it has
returned, where a kill can't take it back. So it is known what was acknowledged, and what was in flight: that may have
happened, whole, or not.

What is held against the store:

- a session of one writer is exactly what was acknowledged, with or without the one step in flight: its messages, their
  order and every sign of them, its name, owner, context and state, its counts, what each call returned;
- a session to which all append holds each acknowledged message once, each writer's in its order, batches whole and
  together; what anybody has seen stays where it was;
- where all remove, too, nothing is invented or doubled, what was there before a session was emptied does not come
  back, and the number of messages is what was added and removed, as far as it was acknowledged; of writers with one
  condition on the revision one wins, and no revision is there twice;
- lists name each session once, and no deleted one; search finds each message by a term of its own, and none removed;
- no error reaches a caller but those of the contract; what was not applied is not there; the store opens again.

It asks a backend only what `sessionkit.capabilities` declares, and the four required methods are enough; it knows
nothing of files. What each process does, and after how many steps it is killed, follows from the seed: a run with the
same one does it again. How the processes meet does not follow from it, so that a violation may take more than one run
to come back.

Not asked: what survives a power cut. A kill leaves what was given to the system.
"""

from sessionkit.testing.torture.asking import UsageError
from sessionkit.testing.torture.checker import Violation
from sessionkit.testing.torture.report import Report
from sessionkit.testing.torture.running import run

__all__ = ["Report", "UsageError", "Violation", "run"]
