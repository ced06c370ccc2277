"""How a program says that it was started with settings that cannot be right."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException
from pydantic import ValidationError

from schemas.shared.settings import complaint


@contextmanager
def wrong_settings_in_a_line() -> Iterator[None]:
    """End the program with exit code 1 and one line on stderr where a setting is wrong.

    That is where a settings class refuses it, or librdkafka does when a client is made (a file of
    certificates that is not there). Whatever else is raised goes on.
    """
    try:
        yield
    except ValidationError as error:
        sys.exit(f"wrong setting: {complaint(error)}")
    except KafkaException as error:
        refused: KafkaError = error.args[0]
        if refused.code() != KafkaError._INVALID_ARG:
            raise
        sys.exit(f"wrong Kafka setting: {' '.join(refused.str().split())}")
