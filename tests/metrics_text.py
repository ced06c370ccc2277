"""What a program's `/metrics` says, taken apart as Prometheus does."""

from prometheus_client.parser import text_string_to_metric_families


def samples(text: str, name: str) -> dict[tuple[str, ...], float]:
    """The values of a metric's samples, by the values of their labels in the order in which they stand."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def by_partition(text: str, name: str) -> dict[int, float]:
    """The values of a metric whose one label is the partition."""
    return {int(partition): value for (partition,), value in samples(text, name).items()}
