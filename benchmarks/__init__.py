"""What sessionkit costs, as ratios to floors that are measured in the same run: ``python -m benchmarks``.

- `benchmarks.corpus`: the messages that everything is measured with.
- `benchmarks.measure`: measuring in turn, what a row of the table is, and its bound.
- `benchmarks.floors` and `benchmarks.floors_many`: what a program does that keeps its messages, or many sessions,
  itself; `benchmarks.stores`: ours.
- `benchmarks.deep`: sessions of a given depth; `benchmarks.big`: stores with many sessions, or many messages.
- `benchmarks.writers`: many that write at once, to the `benchmarks.contenders`, in `benchmarks.processes` that begin
  together; `benchmarks.alone`: what only a process of its own shows.
- `benchmarks.rows`: the rows of the table, a module a subject.
- `benchmarks.peers`: what people use today, through its public API.
- `benchmarks.report`: the tables; `benchmarks.recorded`: the figures that are kept, and what has got worse since.
- `benchmarks.plots`: those that say it at a glance.
"""
