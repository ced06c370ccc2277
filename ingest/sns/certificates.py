"""The certificates that SNS signs with: pinned in a folder, or fetched and kept.

Law: at most one fetch for a URL at a time and few in all, as anybody who knows the ARN of a listed topic can
ask for URLs; a fetch that hangs is ended for the next (`ingest.sns.places`), and one that nobody waits for
any more ends. Keys are kept apart from failures, so that made-up URLs push no key out. A failure is believed
for a few seconds only. The trust lies in TLS and the host that `ingest.sns.messages` demanded; SNS's
certificates change about once a year, each under a name of its own, so a kept one never goes stale.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ingest.errors import TryAgain
from ingest.metrics import IngestMetrics
from ingest.sns import outbound
from ingest.sns.messages import CertificateUrl
from ingest.sns.places import Places, PreemptedError

log = structlog.get_logger(__name__)

KEYS_KEPT: Final = 64
FAILURES_KEPT: Final = 256
FAILURE_SECONDS: Final = 10.0
FETCHES_AT_ONCE: Final = 8
PATIENCE_SECONDS: Final = 0.5
"""How long a fetch may take while others wait for its place. SNS answers in a tenth of it."""

KEY_MIN_BITS: Final = 2048
"""SNS signs with 2048 bits; a shorter key can be found by who wants to forge."""


@dataclass(slots=True)
class _Loading:
    """A key on its way, and how many wait for it."""

    task: asyncio.Task[RSAPublicKey]
    waiting: int = 0


class Certificates:
    """The public keys of signing certificates, by URL. Used from one event loop."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        pinned: Path | None,
        metrics: IngestMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to look keys up.

        client: what fetches. pinned: a folder of PEM files named like the last part of their URL.
        clock: seconds that never go back, to let failures expire.
        """
        self._client = client
        self._pinned = pinned
        self._metrics = metrics
        self._clock = clock
        self._keys: OrderedDict[CertificateUrl, RSAPublicKey] = OrderedDict()
        self._failures: OrderedDict[CertificateUrl, tuple[float, TryAgain]] = OrderedDict()
        self._loading: dict[CertificateUrl, _Loading] = {}
        self._places = Places(FETCHES_AT_ONCE, PATIENCE_SECONDS)

    async def public_key(self, url: CertificateUrl) -> RSAPublicKey:
        """The public key of the certificate at the URL.

        Raises: TryAgain where it can't be had now, or what lies there is no certificate with an RSA key.
        """
        if url in self._keys:
            self._keys.move_to_end(url)
            return self._keys[url]
        if url in self._failures:
            since, failure = self._failures[url]
            if self._clock() - since < FAILURE_SECONDS:
                raise TryAgain(failure.reason, failure.detail)
            del self._failures[url]
        loading = self._loading.get(url)
        if loading is None:
            loading = self._loading[url] = _Loading(asyncio.create_task(self._load(url)))
            loading.task.add_done_callback(lambda task: self._forget(url, task))
        else:
            self._places.ask_again(url)
        loading.waiting += 1
        try:
            async with asyncio.timeout(outbound.CALL_SECONDS):
                return await asyncio.shield(loading.task)
        except TimeoutError:
            raise TryAgain("certificate", "The signing certificate did not come in time.") from None
        finally:
            loading.waiting -= 1
            if not loading.waiting:
                self._forget(url, loading.task)
                loading.task.cancel()

    def _forget(self, url: CertificateUrl, task: asyncio.Task[RSAPublicKey]) -> None:
        """The task is no longer to be waited for."""
        if url in self._loading and self._loading[url].task is task:
            del self._loading[url]

    async def _load(self, url: CertificateUrl) -> RSAPublicKey:
        try:
            pem = self._read_pinned(url)
            key = rsa_key(await self._fetch(url) if pem is None else pem)
        except PreemptedError:
            log.warning("a signing certificate does not come, its fetch is ended for others", url=url)
            raise TryAgain("certificate", "The signing certificate does not come, and others wait.") from None
        except (outbound.CallError, OSError, ValueError) as error:
            log.error("no signing certificate", url=url, error=str(error))  # noqa: TRY400 - no traceback needed
            failure = TryAgain("certificate", "The signing certificate can't be had.")
            self._failures[url] = (self._clock(), failure)
            if len(self._failures) > FAILURES_KEPT:
                self._failures.popitem(last=False)
            raise failure from error
        self._keys[url] = key
        if len(self._keys) > KEYS_KEPT:
            self._keys.popitem(last=False)
        return key

    def _read_pinned(self, url: CertificateUrl) -> bytes | None:
        if self._pinned is None:
            return None
        try:
            return (self._pinned / url.rpartition("/")[2]).read_bytes()
        except FileNotFoundError:
            return None

    async def _fetch(self, url: CertificateUrl) -> bytes:
        try:
            async with self._places.take(url):
                pem = await outbound.get(self._client, url)
        except (outbound.CallError, PreemptedError):
            self._metrics.calls.labels("certificate", "failed").inc()
            raise
        self._metrics.calls.labels("certificate", "ok").inc()
        log.info("signing certificate fetched", url=url)
        return pem


def rsa_key(pem: bytes) -> RSAPublicKey:
    """The RSA key of a certificate in PEM. Raises: ValueError, where it is too short as well."""
    key = x509.load_pem_x509_certificate(pem).public_key()
    if not isinstance(key, RSAPublicKey):
        raise ValueError("the certificate has no RSA key")  # noqa: TRY004 - the value is wrong, not a type
    if key.key_size < KEY_MIN_BITS:
        raise ValueError(f"the certificate's key has {key.key_size} bits, fewer than {KEY_MIN_BITS}")
    return key
