"""What all programs are built with, and no contract: it would be a package of its own if there were room.

Lives here: settings and TLS, the shape of log lines, what a process tells Prometheus of itself, the HTTP
server and how it ends, how a start fails, what is said of errors of Kafka and Redis, and the creation of the
topics, which belongs to none of the three.
Does not: anything that crosses a wire between programs; that is `schemas` itself, which knows nothing of
this.
The way through: none: a program takes from here what it needs, and no module leads to the next.
"""
