"""Every contract that crosses a wire: Kafka topics, SES events, the Redis layout, the metrics API.

The three programs know these contracts and never each other. A change here is a change that something
outside the process can see. `shared` stands beside the contracts for want of a better place: it is what all
programs are built with.
"""
