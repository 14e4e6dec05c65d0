"""A real etcd cluster of three: on loopback ports, or each member in a network namespace of its own."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import requests

BINARY = shutil.which("etcd")
_numbers = itertools.count()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Member:
    """`authority` makes it demand a certificate of that authority from every client."""

    def __init__(self, *, name, host, client_port, peer_port, namespace="", authority=None):
        self.name = name
        self.host = host
        self.client = f"{'https' if authority else 'http'}://{host}:{client_port}"
        self.authority = authority
        self.pair = authority.server(name) if authority else None
        self.peer = f"http://{host}:{peer_port}"
        self.namespace = namespace
        self.process = None

    def start(self, *, directory, cluster, is_new, prevote):
        command = [
            BINARY, "--name", self.name, "--data-dir", str(directory / self.name), "--logger", "zap",
            "--log-level", "error", "--listen-client-urls", self.client, "--advertise-client-urls", self.client,
            "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
            "--initial-cluster", cluster, "--initial-cluster-state", "new" if is_new else "existing",
            f"--pre-vote={str(prevote).lower()}",
        ]  # fmt: skip
        if self.authority:
            certificate, key = map(str, self.pair)
            command += ["--client-cert-auth", "--trusted-ca-file", str(self.authority.certificate),
                        "--cert-file", certificate, "--key-file", key]  # fmt: skip
        if self.namespace:
            command = ["ip", "netns", "exec", self.namespace, *command]
        with (directory / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def status(self):
        """(member id, leader id, term), or None when it does not answer."""
        try:
            tls = {"verify": str(self.authority.certificate), "cert": tuple(map(str, self.pair))} if self.pair else {}
            body = requests.post(f"{self.client}/v3/maintenance/status", json={}, timeout=0.5, **tls).json()
            return body["header"]["member_id"], body.get("leader", "0"), int(body["raftTerm"])
        except (requests.RequestException, KeyError, ValueError):
            return None


class Cluster:
    """Three members. `prevote` is given to each on its command line; with an `authority` clients need a certificate."""

    def __init__(self, directory: Path, *, prevote=True, namespaces=False, authority=None):
        self.directory = directory
        self.prevote = prevote
        self.authority = authority
        self.network = Namespaces() if namespaces else None
        if self.network:
            self.members = [
                Member(name=f"m{i}", host=host, client_port=2379, peer_port=2380, namespace=namespace)
                for i, (namespace, host) in enumerate(self.network.nodes)
            ]
        else:
            ports = free_ports(6)
            self.members = [
                Member(
                    name=f"m{i}",
                    host="127.0.0.1",
                    client_port=ports[2 * i],
                    peer_port=ports[2 * i + 1],
                    authority=authority,
                )
                for i in range(3)
            ]

    @property
    def endpoints(self):
        return [member.client for member in self.members]

    def start(self):
        for member in self.members:
            self._start(member, is_new=True)
        self.leader()

    def restart(self, member):
        self._start(member, is_new=False)

    def stop(self):
        for member in self.members:
            member.kill()
        if self.network:
            self.network.remove()

    def leader(self, *, among=None, timeout_s=20):
        """The member that a majority of `among` follows."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            told = [(member, member.status()) for member in among or self.members]
            alive = [(member, status) for member, status in told if status]
            leaders = {status[1] for _, status in alive}
            if len(alive) >= 2 and len(leaders) == 1 and leaders != {"0"}:
                for member, status in alive:
                    if status[0] == status[1]:
                        return member
            time.sleep(0.05)
        raise AssertionError("no leader")

    def term(self, *, among=None):
        return max(status[2] for status in (member.status() for member in among or self.members) if status)

    def _start(self, member, *, is_new):
        cluster = ",".join(f"{each.name}={each.peer}" for each in self.members)
        member.start(directory=self.directory, cluster=cluster, is_new=is_new, prevote=self.prevote)


def can_make_namespaces():
    return os.geteuid() == 0 and shutil.which("ip") is not None and _ip("netns", "list", check=False).returncode == 0


def _ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], check=check, capture_output=True)


class Namespaces:
    """A bridge with three namespaces on it; each can be cut off by taking its bridge port down."""

    def __init__(self):
        self.tag = f"{os.getpid() % 100_000}{next(_numbers) % 10}"
        self.subnet = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
        self.bridge = f"fb{self.tag}"
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("addr", "add", f"{self.subnet}.254/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")
        self.nodes = [self._node(number) for number in range(3)]

    def _node(self, number):
        namespace, host = f"fn{self.tag}{number}", f"{self.subnet}.{number + 1}"
        outer, inner = self.port(number), f"fi{self.tag}{number}"
        _ip("netns", "add", namespace)
        _ip("link", "add", outer, "type", "veth", "peer", "name", inner)
        _ip("link", "set", outer, "master", self.bridge)
        _ip("link", "set", outer, "up")
        _ip("link", "set", inner, "netns", namespace)
        for arguments in (("addr", "add", f"{host}/24", "dev", inner), ("link", "set", inner, "up"),
                          ("link", "set", "lo", "up")):  # fmt: skip
            _ip("-n", namespace, *arguments)
        return namespace, host

    def port(self, number):
        return f"fo{self.tag}{number}"

    def cut(self, number):
        _ip("link", "set", self.port(number), "down")

    def join(self, number):
        _ip("link", "set", self.port(number), "up")

    def remove(self):
        for number, (namespace, _) in enumerate(self.nodes):
            _ip("link", "del", self.port(number), check=False)
            _ip("netns", "del", namespace, check=False)
        _ip("link", "del", self.bridge, check=False)


def stop_member(member):
    member.process.send_signal(signal.SIGSTOP)


def resume_member(member):
    member.process.send_signal(signal.SIGCONT)
