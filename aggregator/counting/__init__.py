"""The law of counting, pure: from a record's bytes to what one call of the script is given.

Lives here: the rules and their fingerprint (`rules`, `corpus`), times, what a record states (`events`,
`decode`, `facts`, `pseudonyms`), reading many records, and what is read and not submitted (`reading`), where
counting stands (`checkpoints`), the argument of the script (`pack`) and the states in it (`states`), and the
cells that a count comes to (`cells`), by which two counts are compared.
Does not: anything that knows Kafka, Redis, HTTP or a clock.
The way through: record -> `reading` (`decode` for each) -> `checkpoints` -> `pack` -> the Redis script.
"""
