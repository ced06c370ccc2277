"""What librdkafka does for its own tests, and shows no Python."""

import ctypes
from pathlib import Path

import confluent_kafka
from confluent_kafka import KafkaError, Producer

LIBRDKAFKA = ctypes.CDLL(
    str(next(Path(confluent_kafka.__file__).parents[1].glob("confluent_kafka.libs/librdkafka*")))
)
LIBRDKAFKA.rd_kafka_name.argtypes = [ctypes.c_void_p]
LIBRDKAFKA.rd_kafka_name.restype = ctypes.c_char_p
LIBRDKAFKA.rd_kafka_test_fatal_error.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]


def break_for_good(producer: Producer, code: int = KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER) -> None:
    """Have librdkafka meet a fatal error, as it lets its own tests do.

    Its handle is the first field of a producer, after what every Python object begins with.
    """
    handle = (ctypes.c_void_p * 3).from_address(id(producer))[2]
    assert LIBRDKAFKA.rd_kafka_name(handle).startswith(b"rdkafka#producer-")
    LIBRDKAFKA.rd_kafka_test_fatal_error(handle, code, b"as the broker says it")
