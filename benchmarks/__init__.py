"""What sessionkit costs, as ratios to floors that are measured in the same run: ``python -m benchmarks``.

- `benchmarks.corpus`: the messages that everything is measured with.
- `benchmarks.measure`: measuring in turn, what a row of the table is, and its bound.
- `benchmarks.floors`: the least that any store of the kind must do.
- `benchmarks.shared`: the rows that every store on disk has; `benchmarks.crowd` those with many processes.
- `benchmarks.aio`: those of asynchronous callers.
- `benchmarks.sqlite`, `benchmarks.jsonl`, `benchmarks.small`: the rows with floors of their own.
- `benchmarks.report`: the table and the JSON.
"""
