"""Where lines contradict each other, the fewest of them are left out: no other choice would leave out fewer."""

from itertools import combinations, pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from sessionkit_jsonl.lines import Order
from sessionkit_jsonl.order import misplaced

ORDERS = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2), st.booleans()), max_size=7)


def follow_on_each_other(orders: list[Order]) -> bool:
    """From line to line the revision never falls, and where it stays, the count grows, or there are no messages."""
    return all(
        (below[:2] > above[:2] or (below[:2] == above[:2] and below[2] >= above[2]))
        and not (above == below and not below[2])
        for above, below in pairwise(orders)
    )


@given(ORDERS)
@example([(2, 1, False), (1, 0, False), (2, 1, False)])
@example([(1, 1, True), (1, 1, True), (9, 1, False), (2, 1, True)])
def test_the_fewest_lines_are_left_out(orders: list[Order]) -> None:
    """Of as few, those that come last; what stays can have been written one after the other."""
    every = range(len(orders))
    stay = next(
        chosen
        for size in range(len(orders), -1, -1)
        for chosen in combinations(every, size)
        if follow_on_each_other([orders[number] for number in chosen])
    )
    left_out = misplaced([(number * 10, order) for number, order in enumerate(orders)])
    assert left_out == {number * 10 for number in every if number not in stay}
