"""Who may write through Channel Access: everyone, this host, or a list of hosts and users."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

EVERYONE, THIS_HOST = "everyone", "host"


@dataclass(frozen=True)
class Client:
    """Who is at the other end of a connection."""

    user: str
    """As the client says; nobody checks it."""
    address: str
    """Of the other end of the connection: the truth, as far as the network goes."""
    local: bool
    """It is on this host."""


@dataclass(frozen=True)
class _Rule:
    user: str
    matches: Callable[[Client], bool]

    def __call__(self, client: Client) -> bool:
        return fnmatchcase(client.user, self.user) and self.matches(client)


class WriteAccess:
    """Rules, of which one must let a client write."""

    def __init__(self, rules: str | Iterable[str] = EVERYONE) -> None:
        """Each rule is `everyone`, `host`, or `[user@]host`; ValueError says what is wrong with one.

        `host` is this host, an address, a network (10.1.2.0/24), a pattern of addresses (10.1.2.*) or a host's name,
        which is looked up now. `user` may be a pattern too.
        """
        rules = [rule.strip() for rule in rules.split(",")] if isinstance(rules, str) else list(rules)
        self._rules = [_rule(rule) for rule in rules]
        self.text = ", ".join(rules) or "nobody"

    def allows(self, client: Client) -> bool:
        """Whether it may write."""
        return any(rule(client) for rule in self._rules)


def _rule(rule: str) -> _Rule:
    if rule == EVERYONE:
        return _Rule("*", lambda client: True)
    user, at, host = rule.rpartition("@")
    if not host or (at and not user) or any(character.isspace() for character in rule):
        raise ValueError(f"{rule!r} is none of everyone, host, address, name, user@host")
    return _Rule(user or "*", _host(host))


def _host(host: str) -> Callable[[Client], bool]:
    if host == THIS_HOST:
        return lambda client: client.local
    if "*" in host:
        if host.strip("0123456789.*?"):
            raise ValueError(f"{host!r}: a pattern is one of addresses, as 10.1.2.*; names are looked up once, whole")
        return lambda client: fnmatchcase(client.address, host)
    if "/" in host:
        try:
            network = ipaddress.IPv4Network(host)
        except ValueError as error:
            raise ValueError(f"{host!r} is not a network like 10.1.2.0/24: {error}") from None
        return lambda client: ipaddress.IPv4Address(client.address) in network
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise ValueError(f"no host {host!r} is known: {error.strerror}") from None
    addresses = {str(answer[4][0]) for answer in found}
    if any(ipaddress.IPv4Address(address).is_loopback for address in addresses):
        # Hosts call themselves so; the address that their clients come from is another one.
        return lambda client: client.local or client.address in addresses
    return lambda client: client.address in addresses
