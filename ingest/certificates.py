"""The certificates that SNS signs with: pinned in a folder, or fetched and kept.

Law: at most one fetch for a URL at a time and few in all, as anybody who knows the ARN of a listed topic can
ask for URLs. Keys are kept apart from failures, so that made-up URLs push no key out. A failure is believed
for a few seconds only. The trust lies in TLS and the host that `ingest.sns` demanded; SNS's certificates
change about once a year, each under a name of its own, so a kept one never goes stale.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ingest import outbound
from ingest.metrics import Metrics
from ingest.problems import TryAgain
from ingest.sns import CertificateUrl

log = structlog.get_logger(__name__)

KEYS_KEPT: Final = 64
FAILURES_KEPT: Final = 256
FAILURE_SECONDS: Final = 10.0
FETCHES_AT_ONCE: Final = 8


class Certificates:
    """The public keys of signing certificates, by URL. Used from one event loop."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        pinned: Path | None,
        metrics: Metrics,
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
        self._fetches: dict[CertificateUrl, asyncio.Task[RSAPublicKey]] = {}

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
        if url not in self._fetches:
            if len(self._fetches) >= FETCHES_AT_ONCE:
                raise TryAgain("certificate", "Too many signing certificates are being fetched.")
            task = asyncio.create_task(self._load(url))
            self._fetches[url] = task
            task.add_done_callback(lambda _: self._fetches.pop(url))
        return await asyncio.shield(self._fetches[url])

    async def _load(self, url: CertificateUrl) -> RSAPublicKey:
        try:
            pem = self._read_pinned(url)
            key = rsa_key(await self._fetch(url) if pem is None else pem)
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
            pem = await outbound.get(self._client, url)
        except outbound.CallError:
            self._metrics.calls.labels("certificate", "failed").inc()
            raise
        self._metrics.calls.labels("certificate", "ok").inc()
        log.info("signing certificate fetched", url=url)
        return pem


def rsa_key(pem: bytes) -> RSAPublicKey:
    """The RSA key of a certificate in PEM. Raises: ValueError."""
    key = x509.load_pem_x509_certificate(pem).public_key()
    if not isinstance(key, RSAPublicKey):
        raise ValueError("the certificate has no RSA key")  # noqa: TRY004 - the value is wrong, not a type
    return key
