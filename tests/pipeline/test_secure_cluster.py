"""A Redis Cluster behind TLS and logins. One node is a cluster: clients must find it by what it announces."""

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest

from aggregator.counters import connection, store
from api.counters import reader
from deploy.processes import free_port
from schemas.redis_keys import RECORD_KEY
from schemas.shared.settings import RedisSettings
from tests.authority import Authority
from tests.pipeline.programs import wait_until
from tests.pipeline.secured import password_of, secured_redis

ADDRESS = "127.0.0.1"
"""What the node announces, so what its certificate must hold."""

IN_A_CLUSTER = "+cluster|slots +command|getkeys +command"
"""What `deploy/security.md` says that each user needs more."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def test_both_clients_reach_a_cluster_over_tls(authority: Authority, tmp_path: Path) -> None:
    """The worker's and the API's, each with its user, CA and certificate."""
    client = authority.issue("client")
    options = ("--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", str(free_port()))
    with secured_redis(tmp_path, authority, *options, host=ADDRESS, rights=IN_A_CLUSTER) as (port, admin):
        admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        wait_until(
            lambda: b"cluster_state:ok" in admin.execute_command("CLUSTER", "INFO"), "the cluster is one"
        )

        def settings(user: str) -> RedisSettings:
            return RedisSettings(
                redis_url=f"rediss://{user}:{quote(password_of(user), safe='')}@{ADDRESS}:{port}/0",
                redis_cluster=True,
                redis_ssl_ca_location=str(authority.ca),
                redis_ssl_certificate_location=str(client.certificate),
                redis_ssl_key_location=str(client.key),
            )

        worker = store.Store(settings("ses-worker"))
        worker.open()
        worker.close()
        with connection.connect(settings("ses-rebuild")) as writing:
            writing.set(RECORD_KEY, b"here")
        with connection.connect(settings("ses-verify")) as reading:
            assert reading.eval_ro("return redis.call('GET', KEYS[1])", 1, RECORD_KEY) == b"here"

        async def ask() -> object:
            api = reader.connect(settings("ses-api"))
            try:
                return await api.execute_command("GET", RECORD_KEY)
            finally:
                await api.aclose()

        assert asyncio.run(ask()) == b"here"
