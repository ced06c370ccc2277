"""The law of counting, pure: from a record's bytes to what one call of the script is given.

Lives here: the rules and their fingerprint, times, what an event states (`facts`), reading many records
(`reading`), where counting stands (`checkpoints`), the argument of the script (`pack`), and the cells that
a count comes to (`cells`), by which two counts are compared.
Does not: anything that knows Kafka, Redis, HTTP or a clock.
The way through: record -> `reading` -> `facts` -> `checkpoints` -> `pack` -> the Redis script.
"""
