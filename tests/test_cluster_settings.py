"""The settings of a live server."""

from __future__ import annotations

from pathlib import Path

import pytest

from raft_ref.cluster.limits import ClientLimits
from raft_ref.cluster.settings import Address, SettingsError, read_settings

SERVERS = '[servers]\n1 = "127.0.0.1:1"\n2 = "[::1]:2"\n'
LEAST = 'id = 1\ndirectory = "d"\nclient = "localhost:3"\ncluster = "c"\nsecret = "s"\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def test_the_least_that_must_be_said(tmp_path: Path) -> None:
    settings = read_settings(write(tmp_path, LEAST + SERVERS))
    assert settings.config.servers == {1, 2}
    assert settings.directory == tmp_path / "d"
    assert settings.servers[2] == Address("::1", 2)
    assert str(settings.servers[2]) == "[::1]:2"
    assert settings.timing.election_timeout == 0.5
    assert (settings.trace, settings.metrics, settings.certificates) == (False, None, None)


def test_timing_can_be_said(tmp_path: Path) -> None:
    text = LEAST + SERVERS + "[timing]\nelection_timeout = 2.0\n"
    assert read_settings(write(tmp_path, text)).timing.election_timeout == 2.0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "missing required field `id`"),
        ("id = 1\nid = 2", "Cannot overwrite a value"),
        (LEAST + "port = 1\n" + SERVERS, "unknown field `port`"),
        (LEAST.replace("1", '"one"') + SERVERS, "Expected `int`, got `str` - at `$.id`"),
        (LEAST.replace("1", "9") + SERVERS, "server 9 is not one of the servers [1, 2]"),
        (LEAST.replace(":3", "") + SERVERS, "a port from 1 to 65535, not 'localhost'"),
        (LEAST.replace(":3", ":99999") + SERVERS, "an address is host:port"),
        (
            LEAST.replace("localhost", "example.org") + SERVERS,
            "'example.org' does not appear to be",
        ),
        (LEAST + '[servers]\none = "127.0.0.1:1"\n', "a server is a number, not 'one'"),
        (LEAST + '[servers]\n1 = "127.0.0.1:1"\n01 = "127.0.0.1:2"\n', "named twice"),
        (LEAST + SERVERS + "[timing]\nelection_timeout = 0.01\n", "must be shorter than"),
        (LEAST + SERVERS + "[timing]\nelection = 1\n", "[timing] has election_timeout, heartbeat"),
        (LEAST + SERVERS + "[timing]\nrequest_timeout = nan\n", "must be longer than 0, and end"),
        (LEAST + SERVERS + "[timing]\nelection_timeout = inf\n", "must be longer than 0, and end"),
        (LEAST.replace('secret = "s"\n', "") + SERVERS, "servers cannot know each other: give"),
        (LEAST.replace('cluster = "c"\n', "") + SERVERS, "missing required field `cluster`"),
        (LEAST.replace('"c"', '""') + SERVERS, "length >= 1 - at `$.cluster`"),
        (LEAST + SERVERS + "[clients]\nmaxclients = 0\n", "maxclients must be at least 1"),
        (LEAST + SERVERS + "[clients]\nmaxclient = 1\n", "a limit is one of maxclients, timeout"),
        (LEAST + SERVERS.replace("[::1]:2", "127.0.0.1:1"), "two servers have the same address"),
        (LEAST + SERVERS.replace(":2", ":0"), "with a port from 1 to 65535, not '[::1]:0'"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(write(tmp_path, text))
    assert problem in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*: No such file"):
        read_settings(tmp_path / "nowhere.toml")


def test_what_is_said_on_the_command_line_goes_before_what_is_in_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path, LEAST + SERVERS + '[clients]\nmaxclients = 3\nmaxmemory-clients = "1mb"\n'
    )
    assert read_settings(path).secret == tmp_path / "s"
    assert read_settings(path).limits.maxclients == 3
    settings = read_settings(path, {"secret": "/other", "maxclients": "4", "timeout": "5"})
    assert settings.secret == Path("/other")
    assert settings.limits == ClientLimits(maxclients=4, timeout=5, maxmemory_clients=2**20)


def test_a_server_alone_needs_no_secret(tmp_path: Path) -> None:
    alone = LEAST.replace('secret = "s"\n', "") + '[servers]\n1 = "127.0.0.1:1"\n'
    assert read_settings(write(tmp_path, alone)).secret is None


OPEN = [
    ("client", LEAST.replace("localhost", "0.0.0.0") + SERVERS),  # noqa: S104
    ("servers.1", LEAST + SERVERS.replace("127.0.0.1", "192.0.2.1")),
    ("metrics", LEAST + 'metrics = "192.0.2.1:4"\n' + SERVERS),
]


@pytest.mark.parametrize(("name", "text"), OPEN)
def test_what_others_can_reach_must_be_insisted_on(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} = .* can be reached from elsewhere"):
        read_settings(write(tmp_path, text))
    read_settings(write(tmp_path, "insecure = true\n" + text))


def test_servers_with_certificates_may_be_reached_from_elsewhere(tmp_path: Path) -> None:
    tls = '[tls]\ncertificate = "c"\nkey = "k"\nauthority = "a"\n'
    _, (_, text), _ = OPEN
    settings = read_settings(write(tmp_path, text + tls))
    assert settings.certificates is not None
    assert settings.certificates.key == tmp_path / "k"
