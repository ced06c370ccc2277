"""HTTP: a delivery from its first byte to the answer.

Lives here: the application (`app`), what is taken of a body and how fast (`bodies`), and the order of steps
of one delivery (`webhook`).
Does not: validating a message (`sns`), keeping it (`log`).
The way through: `app` -> `webhook` -> `bodies` -> `sns` -> `log`.
"""
