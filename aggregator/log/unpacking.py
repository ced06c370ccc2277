"""Unpacking what Kafka's clients compress, a piece at a time: however small it is packed, memory is bounded.

Knows no Kafka. A record batch of a megabyte may unpack to gigabytes; here no piece is larger than some
megabytes, and nothing is allocated by what the packed bytes claim. (zstd may ask for a window of 128 MiB, the
most that Kafka's broker takes.)
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, Final

import cramjam
from lz4.frame import LZ4FrameDecompressor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_MAX: Final = 1024 * 1024
"""Bytes of a piece; for snappy, whose blocks unpack at once, 32 times those of a block."""

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
"""Kafka's numbers of the codecs."""

_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER: Final = 16
_SNAPPY_RATIO: Final = 32
"""No snappy block unpacks to more than 22 times its bytes: one that claims so is damaged."""

_LENGTH: Final = Struct(">i")
_WINDOW: Final[dict[int, int]] = {zstd.DecompressionParameter.window_log_max: 27}


class DamagedError(Exception):
    """The bytes are not what they should be: no reader can unpack them."""


def pieces(codec: int, packed: bytes) -> Iterator[bytes]:
    """The unpacked bytes, in order.

    codec: Kafka's number of it. packed: all of the compressed bytes.
    Raises: DamagedError, also after pieces that were right.
    """
    try:
        if codec == NONE:
            yield packed
        elif codec == SNAPPY:
            yield from _snappy(packed)
        elif codec in _NEW:
            yield from _streamed(_NEW[codec], packed)
        else:
            raise DamagedError(f"no codec has the number {codec}")
    except (zlib.error, zstd.ZstdError, cramjam.DecompressionError, RuntimeError, EOFError) as error:
        raise DamagedError(str(error)) from error  # lz4's own is RuntimeError


def unpacked_up_to(most: int, codec: int, packed: bytes) -> bytes | None:
    """All unpacked bytes at once, none where they are more than `most`. Raises: DamagedError."""
    total, parts = 0, []
    for piece in pieces(codec, packed):
        total += len(piece)
        if total > most:
            return None
        parts.append(piece)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _Gzip:
    """zlib's object with the manners of the others."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail or data, most)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data


_NEW: Final[dict[int, Callable[[], Any]]] = {
    GZIP: _Gzip,
    LZ4: LZ4FrameDecompressor,
    ZSTD: lambda: zstd.ZstdDecompressor(options=_WINDOW),
}


def _streamed(new: Callable[[], Any], packed: bytes) -> Iterator[bytes]:
    """Of one frame after the other, each to its end."""
    while packed:
        frame = new()
        piece = frame.decompress(packed, PIECE_MAX)
        while piece or not frame.eof:
            if not piece:
                raise DamagedError("the packed bytes end within a frame")
            yield piece
            piece = b"" if frame.eof else frame.decompress(b"", PIECE_MAX)
        packed = frame.unused_data or b""


def _snappy(packed: bytes) -> Iterator[bytes]:
    """Of one raw block, or of the blocks that snappy-java frames, each after its length."""
    if not packed.startswith(_XERIAL) or len(packed) < _XERIAL_HEADER:
        yield _snappy_block(packed)
        return
    at = _XERIAL_HEADER
    while at < len(packed):
        if len(packed) - at < _LENGTH.size:
            raise DamagedError("the packed bytes end within a length")
        (length,) = _LENGTH.unpack_from(packed, at)
        at += _LENGTH.size
        if not 0 <= length <= len(packed) - at:
            raise DamagedError(f"a block of {length} bytes in {len(packed) - at}")
        yield _snappy_block(packed[at : at + length])
        at += length


def _snappy_block(block: bytes) -> bytes:
    claimed = shift = 0
    for byte in block[:5]:
        claimed |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    else:
        raise DamagedError("a block without its length")
    if claimed > len(block) * _SNAPPY_RATIO:
        raise DamagedError(f"a block of {len(block)} bytes that claims {claimed}")
    return bytes(cramjam.snappy.decompress_raw(block))
