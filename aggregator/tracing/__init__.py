"""`explain`: one record of the log, followed from its offset to what it counts for now.

Lives here: how a record and those beside it are found (`find`), what became of each fact that it states
(`standing`, pure), and the two put together with what Redis remembers (`trace`).
Does not: anything that writes. Words for people are in `commands`.
The way through: an offset, or SNS's message id -> `find` -> the law of counting -> what Redis remembers ->
`standing`.
"""
