import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from deploy.signing import Signer
from ingest.errors import TryAgain
from ingest.metrics import IngestMetrics
from ingest.sns import outbound
from ingest.sns.certificates import FAILURE_SECONDS, FETCHES_AT_ONCE, KEYS_KEPT, Certificates, rsa_key
from ingest.sns.messages import CertificateUrl
from tests.ingest.support import SNS_HOST, Answer, SnsStandIn, comes


def url(number: int = 0) -> CertificateUrl:
    return CertificateUrl(f"https://{SNS_HOST}/SimpleNotificationService-{number:032x}.pem")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def pem(certificates: Path, signer: Signer) -> bytes:
    return (certificates / signer.certificate_name).read_bytes()


def look_up(
    stand_in: SnsStandIn,
    use: Callable[[Certificates], Awaitable[None]],
    pinned: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    async def run() -> None:
        async with outbound.new_client(stand_in.transport()) as client:
            await use(Certificates(client, pinned, IngestMetrics(), clock))

    asyncio.run(run())


def path(number: int = 0) -> str:
    return httpx.URL(url(number)).path


def test_a_certificate_is_fetched_once(sns_stand_in: SnsStandIn, pem: bytes, key: RSAPublicKey) -> None:
    """However many ask at a time and later, and though one of them leaves, there is one fetch."""
    sns_stand_in.answers[path()] = Answer(body=pem)
    sns_stand_in.hold.clear()

    async def use(certificates: Certificates) -> None:
        leaver, *others = [asyncio.create_task(certificates.public_key(url())) for _ in range(20)]
        await asyncio.to_thread(sns_stand_in.wait_for_calls, 1)
        leaver.cancel()
        sns_stand_in.hold.set()
        assert all(found == key for found in await asyncio.gather(*others))
        assert await certificates.public_key(url()) == key

    look_up(sns_stand_in, use)
    assert sns_stand_in.asked == [url()]


def test_a_pinned_certificate_is_not_fetched(
    sns_stand_in: SnsStandIn, pem: bytes, key: RSAPublicKey, tmp_path: Path
) -> None:
    (tmp_path / path().strip("/")).write_bytes(pem)

    async def use(certificates: Certificates) -> None:
        assert await certificates.public_key(url()) == key

    look_up(sns_stand_in, use, pinned=tmp_path)
    assert sns_stand_in.asked == []


def test_one_that_is_not_pinned_is_fetched(
    sns_stand_in: SnsStandIn, pem: bytes, key: RSAPublicKey, tmp_path: Path
) -> None:
    sns_stand_in.answers[path()] = Answer(body=pem)

    async def use(certificates: Certificates) -> None:
        assert await certificates.public_key(url()) == key

    look_up(sns_stand_in, use, pinned=tmp_path)
    assert sns_stand_in.asked == [url()]


def test_a_pinned_certificate_that_is_broken_is_not_replaced_from_the_net(
    sns_stand_in: SnsStandIn, pem: bytes, tmp_path: Path
) -> None:
    (tmp_path / path().strip("/")).write_bytes(pem[:100])
    sns_stand_in.answers[path()] = Answer(body=pem)

    async def use(certificates: Certificates) -> None:
        with pytest.raises(TryAgain):
            await certificates.public_key(url())

    look_up(sns_stand_in, use, pinned=tmp_path)
    assert sns_stand_in.asked == []


def certificate(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([])
    day = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(day).not_valid_after(day)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404),
        Answer(500),
        Answer(204),
        Answer(302, headers={"Location": path(1)}),
        Answer(301, headers={"Location": "http://127.0.0.1:1/"}),
        Answer(body=b""),
        Answer(body=b"<html>"),
        Answer(body=certificate(ec.generate_private_key(ec.SECP256R1()))),
        Answer(body=b"\n" * (outbound.ANSWER_MAX_BYTES + 1)),
    ],
)
def test_what_is_no_certificate_fails_and_is_asked_for_again_later(
    sns_stand_in: SnsStandIn, pem: bytes, key: RSAPublicKey, answer: Answer
) -> None:
    """A failure is believed for a while, then asked again; a redirect is not followed."""
    clock = Clock()
    sns_stand_in.answers = {path(): answer, path(1): Answer(body=pem)}

    async def use(certificates: Certificates) -> None:
        for _ in range(3):
            with pytest.raises(TryAgain):
                await certificates.public_key(url())
        assert sns_stand_in.asked == [url()]
        sns_stand_in.answers[path()] = Answer(body=pem)
        clock.now += FAILURE_SECONDS
        assert await certificates.public_key(url()) == key
        assert sns_stand_in.asked == [url()] * 2

    look_up(sns_stand_in, use, clock=clock)


def test_made_up_urls_push_no_key_out(sns_stand_in: SnsStandIn, pem: bytes, key: RSAPublicKey) -> None:
    sns_stand_in.answers[path()] = Answer(body=pem)

    async def use(certificates: Certificates) -> None:
        await certificates.public_key(url())
        for number in range(1, 2 * KEYS_KEPT):
            with pytest.raises(TryAgain):
                await certificates.public_key(url(number))
        assert await certificates.public_key(url()) == key

    look_up(sns_stand_in, use)
    assert sns_stand_in.asked.count(url()) == 1


def test_the_keys_kept_are_bounded_and_the_least_used_goes(sns_stand_in: SnsStandIn, pem: bytes) -> None:
    sns_stand_in.answers = {path(number): Answer(body=pem) for number in range(KEYS_KEPT + 1)}

    async def use(certificates: Certificates) -> None:
        for number in range(KEYS_KEPT):
            await certificates.public_key(url(number))
        for number in (0, KEYS_KEPT, 0, 1):
            await certificates.public_key(url(number))

    look_up(sns_stand_in, use)
    assert sns_stand_in.asked.count(url(0)) == 1
    assert sns_stand_in.asked.count(url(1)) == 2


class Sns(httpx.AsyncBaseTransport):
    """An SNS that never answers for a URL, but for those that it has. under_way, most: calls at a time."""

    def __init__(self, **answers: bytes) -> None:
        self.answers = answers
        self.under_way = self.most = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if request.url.path not in self.answers:
                await asyncio.Event().wait()
            return httpx.Response(200, stream=httpx.ByteStream(self.answers[request.url.path]))
        finally:
            self.under_way -= 1


def test_made_up_urls_that_hang_do_not_keep_a_true_one_out(pem: bytes, key: RSAPublicKey) -> None:
    """However many have been asked for before; and they are never fetched all at a time."""
    sns = Sns(**{path(): pem})

    async def use() -> None:
        async with outbound.new_client(sns) as client:
            certificates = Certificates(client, None, IngestMetrics())
            made_up = [
                asyncio.create_task(certificates.public_key(url(number)))
                for number in range(1, 10 * FETCHES_AT_ONCE)
            ]
            await comes(lambda: sns.under_way > 0)
            assert await certificates.public_key(url()) == key
            assert sns.most == FETCHES_AT_ONCE
            assert sum(task.done() for task in made_up) <= FETCHES_AT_ONCE
            ends = await asyncio.gather(*made_up, return_exceptions=True)
            assert all(isinstance(end, TryAgain) for end in ends)

    asyncio.run(use())


def test_a_fetch_that_nobody_waits_for_any_more_ends() -> None:
    sns = Sns()

    async def use() -> None:
        async with outbound.new_client(sns) as client:
            certificates = Certificates(client, None, IngestMetrics())
            for _ in range(2 * FETCHES_AT_ONCE):
                asking = asyncio.create_task(certificates.public_key(url()))
                await comes(lambda: sns.under_way > 0)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
                await comes(lambda: sns.under_way == 0)

    asyncio.run(use())
    assert sns.most == 1


@pytest.mark.parametrize(("bits", "taken"), [(1024, False), (2047, False), (2048, True)])
def test_a_key_that_can_be_broken_is_refused(bits: int, taken: bool) -> None:
    pem = certificate(rsa.generate_private_key(public_exponent=65537, key_size=bits))
    if taken:
        assert rsa_key(pem).key_size == bits
    else:
        with pytest.raises(ValueError, match=f"{bits} bits"):
            rsa_key(pem)


def test_an_sns_that_does_not_answer_or_is_not_there_is_a_failure(sns_stand_in: SnsStandIn) -> None:
    sns_stand_in.hold.clear()

    async def use(certificates: Certificates) -> None:
        with pytest.raises(TryAgain):
            await certificates.public_key(url())

    look_up(sns_stand_in, use)
    sns_stand_in.hold.set()
    with SnsStandIn() as gone:
        pass
    look_up(gone, use)
    assert gone.asked == []
