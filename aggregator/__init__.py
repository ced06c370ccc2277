"""The aggregator: counts each fact of the events topic once, in hourly counters in Redis.

`facts` and `tally` are the pure core (record -> facts -> one packed call a lane), `apply.lua` counts, `store`
calls it, `fences` knows what is counted, `batches` drives Faust, `worker` puts them together.
"""
