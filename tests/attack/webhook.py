"""Attacks by those who can reach the webhook: anybody, as it must be reachable for SNS."""

import asyncio
import json
import time
from itertools import count
from typing import Final

from tests.attack.attack import Attack, awaited
from tests.attack.honest import message
from tests.attack.measure import MIB, Limits
from tests.attack.scene import Scene
from tests.attack.sns_net import HOST
from tests.attack.wire import Link, each_of, last_one, request, statuses, tally
from tests.pipeline.webhook import TOPIC_ARN

PATH: Final = "/webhooks/sns"
TRUE_CERTIFICATE_S: Final = 20.0
"""SNS waits 15 s for an answer, and comes again."""

BODY_S: Final = 5.0
"""How long the webhook gives a body."""


async def _many(scene: Scene, number: int) -> list[Link]:
    """So many connections, fewer where the server takes no more."""
    found = await asyncio.gather(*(Link.to(scene.ingest.url) for _ in range(number)), return_exceptions=True)
    return [each for each in found if isinstance(each, Link)]


async def _hang_up(links: list[Link]) -> None:
    await asyncio.gather(*(link.close() for link in links))


async def _one_byte_short(scene: Scene, tries: int) -> int:
    """Bodies of 1 MiB whose last byte does not come."""
    data = request(PATH, b" " * (MIB - 1), length=MIB)
    links = await _many(scene, tries)
    await asyncio.gather(*(link.send(data) for link in links))
    await asyncio.sleep(BODY_S + 3)
    await _hang_up(links)
    return len(links)


async def _drips(scene: Scene, tries: int) -> int:
    """Half of them send headers, half of them bodies, a byte a second."""
    links = await _many(scene, tries)
    head = request(PATH, length=MIB)
    for number, link in enumerate(links):
        await link.send(head if number % 2 else head[:40])
    for _ in range(10):
        await asyncio.sleep(1)
        await asyncio.gather(*(link.send(b"x") for link in links))
    await _hang_up(links)
    return len(links)


async def _idle(scene: Scene, tries: int) -> int:
    links = await _many(scene, tries)
    await asyncio.sleep(8)
    await _hang_up(links)
    return len(links)


def expect(scene: Scene, answers: list[bytes], *allowed: int) -> None:
    """Every answer has one of these statuses, or there is none (0)."""
    wrong = {status: number for status, number in tally(answers).items() if status not in allowed}
    if wrong:
        scene.wrong.append(f"answers that must not be: {wrong}")


async def _bad_megabytes(scene: Scene, tries: int) -> int:
    """Bodies of 1 MiB that are all complete in the same moment."""
    true = scene.signer.notification(TOPIC_ARN, "\u00e9" * 170_000)
    bodies = (
        json.dumps({**true, "MessageId": "another"}).encode(),  # all is checked, and the signature is wrong
        b'{"x": [' + b"{}," * 340_000 + b"{}]}",
        b'{"x": [' + b"1e9," * 250_000 + b"1]}",
        b"{" + b",".join(b'"%x":0' % number for number in range(90_000)) + b"}",
        b'{"Message": "' + b"\\u00e9" * 170_000,
    )
    links = await _many(scene, tries)
    requests = [last_one(request(PATH, bodies[number % len(bodies)])) for number in range(len(links))]
    for link, data in zip(links, requests, strict=True):
        await link.send(data[:-1])
    await asyncio.gather(*(link.send(data[-1:]) for link, data in zip(links, requests, strict=True)))
    answers = await asyncio.gather(*(link.answer() for link in links))
    await _hang_up(links)
    expect(scene, answers, 400, 403, 413, 503, 0)
    return len(links)


async def _json_bombs(scene: Scene, tries: int) -> int:
    bombs = (
        b"[" * MIB,
        b'{"a":' * (MIB // 5),
        b"[" * (MIB // 2) + b"]" * (MIB // 2),
        b"1" * MIB,
        b"-0." + b"0" * (MIB - 10) + b"1e-9",
        b'{"Type":1,' * (MIB // 10),
        b'"' + b"\\u0000" * (MIB // 6 - 1) + b'"',
        b'"' + b"\\ud83d" * (MIB // 6 - 1) + b'"',
        b"{" + b",".join(b'"%x":0' % number for number in range(90_000)) + b"}",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"",
    )
    requests = [last_one(request(PATH, bombs[number % len(bombs)][:MIB])) for number in range(tries)]
    expect(scene, await each_of(scene.ingest.url, requests, at_once=8), 400, 403, 413, 503, 0)
    return tries


async def _forged(scene: Scene, tries: int) -> int:
    """Envelopes that are nearly right."""
    true = scene.signer.notification(TOPIC_ARN, message(0, 0).decode())
    other = scene.signer.notification("arn:aws:sns:eu-central-1:000000000000:other", "{}")
    own = json.dumps(true).encode()
    raw = (("x-amz-sns-rawdelivery", "true"),)
    envelopes = (
        {**true, "Message": "{}"},
        {**true, "Signature": "AAAA"},
        {**true, "SignatureVersion": "2"},
        {**true, "SignatureVersion": "3"},
        {**true, "SigningCertURL": f"http://{HOST}/{scene.signer.certificate_name}"},
        {**true, "SigningCertURL": f"https://evil.example/{scene.signer.certificate_name}"},
        {**true, "SigningCertURL": f"https://{HOST}@evil.example/{scene.signer.certificate_name}"},
        {**true, "SigningCertURL": f"https://{HOST}/../{scene.signer.certificate_name}"},
        {**true, "TopicArn": "arn:aws:sns:eu-central-1:000000000000:other"},
        {**true, "Type": "SubscriptionConfirmation"},
        other,
    )
    requests = [last_one(request(PATH, json.dumps(each).encode())) for each in envelopes]
    requests.append(last_one(request(PATH, own, headers=raw)))
    turns = (requests * (tries // len(requests) + 1))[:tries]
    expect(scene, await each_of(scene.ingest.url, turns, at_once=16), 400, 403)
    return tries


async def _hanging_calls(scene: Scene, tries: int) -> int:
    """So many at a time: made-up certificates and replayed confirmations, whose calls to SNS hang.

    Meanwhile SNS signs with a new key.
    """
    envelope = scene.signer.notification(TOPIC_ARN, "{}")
    replayed = json.dumps(scene.signer.confirmation(TOPIC_ARN, "a token that hangs")).encode()
    numbers = count()

    async def press(confirms: bool) -> None:
        while True:
            name = f"SimpleNotificationService-{next(numbers):032x}.pem"
            made_up = json.dumps(envelope | {"SigningCertURL": f"https://{HOST}/{name}"}).encode()
            data = last_one(request(PATH, replayed if confirms else made_up))
            expect(scene, await each_of(scene.ingest.url, [data], at_once=1), 403, 503, 0)

    pressing = [asyncio.create_task(press(number % 4 == 0)) for number in range(tries)]
    await asyncio.sleep(2)
    if not await _takes_a_new_key(scene):
        scene.wrong.append(f"a message of a new certificate was not taken within {TRUE_CERTIFICATE_S:.0f} s")
    for task in pressing:
        task.cancel()
    await asyncio.gather(*pressing, return_exceptions=True)
    return next(numbers)


async def _takes_a_new_key(scene: Scene) -> bool:
    """SNS starts to sign with a key that ingest has never seen. Returns: whether it is taken."""
    signer = scene.new_signer()
    value = message(1_000_000 + len(scene.net.known), 0)
    data = last_one(request(PATH, json.dumps(signer.notification(TOPIC_ARN, value.decode())).encode()))
    began = time.monotonic()
    while time.monotonic() - began < TRUE_CERTIFICATE_S:
        if tally(await each_of(scene.ingest.url, [data], at_once=1))[200]:
            scene.note_taken(value)
            return True
        await asyncio.sleep(0.25)
    return False


async def _led_away(scene: Scene, tries: int) -> int:
    """Paths beside the right one, with a Host of the attacker's: no answer may send SNS there."""
    beside = ("/", "//", "/%2e%2e/", "?/", "/..;/")
    paths = [*(PATH + more for more in beside), f"/{PATH}", f"http://evil.example{PATH}/"]
    body = json.dumps(scene.signer.notification(TOPIC_ARN, "{}")).encode()
    requests = [last_one(request(path, body)).replace(b"attacked.example", b"evil.example") for path in paths]
    requests += [each.replace(b"POST", b"GET", 1) for each in requests]
    requests = requests[:tries]
    for data, answer in zip(requests, await each_of(scene.ingest.url, requests, at_once=4), strict=True):
        found = statuses(answer)
        if any(300 <= status < 400 for status in found) or b"location:" in answer.lower():
            scene.wrong.append(f"{data.split(b' HTTP')[0].decode()}: {answer[:90]!r}")
            break
    return len(requests)


async def _broken_http(scene: Scene, tries: int) -> int:
    """Requests that are none: none of them is taken, and the server outlives them."""
    start = b"POST /webhooks/sns HTTP/1.1\r\nHost: x\r\n"
    chunked = start + b"Transfer-Encoding: chunked\r\n"
    shapes = (
        chunked + b"\r\nzz\r\nrubbish\r\n0\r\n\r\n",
        chunked + b"\r\nffffffffffffffff\r\n",
        chunked + b"\r\n-1\r\nx\r\n0\r\n\r\n",
        chunked + b"\r\n5;" + b"x" * 100_000 + b"\r\nabcde\r\n0\r\n\r\n",
        chunked + b"\r\n" + b"1\r\nx\r\n" * 20_000,
        chunked + b"\r\n0\r\n" + b"Trailer: x\r\n" * 10_000 + b"\r\n",
        chunked
        + b"Content-Length: 4\r\n\r\n1\r\nx\r\n0\r\n\r\nPOST /webhooks/sns HTTP/1.1\r\nHost: x\r\n\r\n",
        start + b"Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\n{}",
        start + b"Transfer-Encoding: identity, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        start + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
        start + b"Content-Length: -1\r\n\r\n{}",
        start + b"Content-Length: +2\r\n\r\n{}",
        start + b"Content-Length: 99999999999999999999999999\r\n\r\n{}",
        start + b"Content-Length: 0x2\r\n\r\n{}",
        start + b"Content-Length: 1\r\n\r\n" + b"{}" * 1_000,
        start + b"X: a\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
        start + b"X\0Y: 1\r\n\r\n",
        start + b"X: " + b"h" * MIB + b"\r\n\r\n",
        start + b"".join(b"X%d: 1\r\n" % number for number in range(20_000)) + b"\r\n",
        start + b"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n",
        start + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAAA\r\n\r\n",
        b"POST /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /webhooks/sns HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST /webhooks/sns\r\n\r\n",
        b"\0" * 10_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 100,
        b"\r\n" * 50_000,
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    turns = [shapes[number % len(shapes)] for number in range(tries)]
    answers = await each_of(scene.ingest.url, turns, at_once=16, wait_s=7)
    for data, answer in zip(turns, answers, strict=True):
        if any(200 <= status < 400 for status in statuses(answer)):
            scene.wrong.append(f"{data[:120]!r} is answered with {answer[:120]!r}")
            break
    return tries


ATTACKS: Final = (
    Attack(
        "bodies one byte short of 1 MiB",
        "under 256 MiB; SNS is let in within a body's 5 s",
        awaited(_one_byte_short),
        tries=1_000,
        short=100,
        limits=Limits(webhook_ms=BODY_S * 1000 + 2_500),
    ),
    Attack(
        "headers and bodies, a byte a second",
        "honest posts are taken",
        awaited(_drips),
        tries=1_000,
    ),
    Attack(
        "idle connections",
        "honest posts are taken",
        awaited(_idle),
        tries=1_900,
        limits=Limits(webhook_ms=500),
    ),
    Attack(
        "bad bodies of 1 MiB",
        "honest posts are taken",
        awaited(_bad_megabytes),
        tries=200,
        short=40,
        limits=Limits(webhook_ms=500),
    ),
    Attack("JSON bombs", "refused", awaited(_json_bombs), tries=120, short=12),
    Attack("forged envelopes", "refused", awaited(_forged), tries=600, short=24),
    Attack(
        "made-up certificates and replayed confirmations that hang",
        "a new key of SNS is taken",
        awaited(_hanging_calls),
        tries=64,
    ),
    Attack(
        "paths beside the webhook's, a Host of one's own", "nobody is led away", awaited(_led_away), 14, 14
    ),
    Attack("what is no HTTP, lengths that lie", "refused", awaited(_broken_http), tries=120, short=30),
)
