"""What sessionkit costs, as ratios to floors that are measured in the same run: ``python -m benchmarks``.

- `benchmarks.corpus`: the messages that everything is measured with.
- `benchmarks.measure`: measuring in turn, what a row of the table is, and its bound.
- `benchmarks.floors`: the least that any store of the kind must do; `benchmarks.stores`: ours.
- `benchmarks.rows`: the rows of the table, a module a subject.
- `benchmarks.peers`: what people use today, through its public API.
- `benchmarks.report`: the tables; `benchmarks.recorded`: the figures that are kept, and what has got worse since.
- `benchmarks.plots`: those that say it at a glance.
"""
