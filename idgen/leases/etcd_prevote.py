"""Does the cluster run with PreVote? Without it a member that rejoins after a partition forces an election.

etcd has no API that says so. What can be known: the version (3.5 turned it on by default) and the command line, which
the member's /debug/vars shows. A value from a file or from the environment stays unknown on 3.4.
"""

import logging
import re
from enum import StrEnum
from typing import Final

from idgen.leases.base import StoreDown
from idgen.leases.etcd_gateway import Gateway

log = logging.getLogger(__name__)

_FLAG: Final = re.compile(r"--?pre-vote(?:=(?P<value>\S+))?")


class PreVote(StrEnum):
    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


def prevote_of(*, version: str, command_line: list[str] | None) -> PreVote:
    """What `version` ("3.4.23") and the member's arguments tell. None: the arguments are not known."""
    for argument in command_line or []:
        if match := _FLAG.fullmatch(argument):
            is_on = (match["value"] or "true").lower() in {"true", "1", "t"}
            return PreVote.ON if is_on else PreVote.OFF
    if tuple(int(part) for part in version.split(".")[:2]) >= (3, 5):
        return PreVote.ON
    # On 3.4 it is off unless a file or the environment says otherwise, and both would show a bare or a config command.
    is_bare = command_line is None or any("config-file" in argument for argument in command_line)
    return PreVote.UNKNOWN if is_bare else PreVote.OFF


def survey(gateway: Gateway) -> dict[str, PreVote | StoreDown]:
    """Each member by endpoint; why, where one does not answer."""
    return {endpoint: _ask(gateway, endpoint) for endpoint in gateway.endpoints}


def _ask(gateway: Gateway, endpoint: str) -> PreVote | StoreDown:
    try:
        version = str(gateway.get(endpoint, "/version")["etcdserver"])
    except StoreDown as error:
        return error
    except KeyError:
        return StoreDown(f"{endpoint}: not an etcd")
    try:
        command_line: list[str] | None = [str(each) for each in gateway.get(endpoint, "/debug/vars")["cmdline"]]
    except (StoreDown, KeyError):
        command_line = None
    return prevote_of(version=version, command_line=command_line)


def warn_without_prevote(gateway: Gateway) -> None:
    """Log what an operator should change. It is no reason to refuse: leases stay safe, they only renew later."""
    for endpoint, prevote in survey(gateway).items():
        if prevote is PreVote.OFF:
            log.warning("etcd %s runs without PreVote: start it with --pre-vote (idgen.W003)", endpoint)
        elif prevote is PreVote.UNKNOWN:
            log.info("etcd %s does not say whether PreVote is on; 3.4 needs --pre-vote", endpoint)
