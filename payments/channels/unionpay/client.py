"""Speaks the model's JSON over HTTP: signs what it sends, believes only what is signed, a refusal too."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openplatform import transport
from payments.channels.answers import Reaction, Refusal, printable
from payments.channels.asking import ask, both_hosts
from payments.channels.base import AccountConfig, Unknown
from payments.channels.rsa import NotAuthentic
from payments.channels.unionpay import signing
from payments.channels.unionpay.reactions import ASK, OTHERS, SUCCESS

HEADERS = {"Content-Type": "application/json; charset=utf-8", "Accept": "application/json"}
_CODE = re.compile(r"[0-9A-Z]{2,8}")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A verified answer with one of the codes that were asked for."""

    code: str
    fields: dict[str, Any]


class UnionpayClient:
    """One merchant of one service provider; docs/deploy.md lists what its settings and secrets hold."""

    def __init__(self, config: AccountConfig) -> None:
        self.config = config
        self.settings = config.settings

    def call(
        self,
        operation: str,
        *,
        fields: Mapping[str, str],
        reactions: Mapping[str, Reaction],
        good: frozenset[str] = frozenset({SUCCESS}),
    ) -> Answer | Refusal | Unknown:
        """One signed request. Ends within the account's deadline, whatever the peer does. `good`: codes of success."""
        params = {"serProvId": self.settings["serv_prov_id"], "merId": self.settings["mer_id"], **fields}
        params["signature"] = signing.sign(params, pem=self.config.secrets["private_key_pem"])
        reply = ask(
            self.config, name=f"unionpay {operation}", method="POST",
            urls=both_hosts(self.config, f"/gateway/api/pay/{operation}"), headers=HEADERS,
            body=json.dumps(params, ensure_ascii=False, separators=(",", ":")).encode(),
        )  # fmt: skip
        return reply if isinstance(reply, Unknown) else self._read(reply, reactions=reactions, good=good)

    def open_message(self, body: bytes) -> dict[str, Any]:
        """The object in an answer or a callback, shown to be theirs. Raises NotAuthentic."""
        try:
            fields = json.loads(body)
            if not isinstance(fields, dict):
                raise NotAuthentic("no object")
            signing.verify(fields, pems=self.settings["platform_keys"].values())
        except (ValueError, RecursionError) as error:
            raise NotAuthentic("not in the expected form") from error
        return fields

    def _read(
        self, reply: transport.Reply, *, reactions: Mapping[str, Reaction], good: frozenset[str]
    ) -> Answer | Refusal | Unknown:
        if reply.status != 200:
            return Unknown(reason=f"HTTP {reply.status}", unwell=reply.status >= 500)
        try:
            fields = self.open_message(reply.body)
        except NotAuthentic as error:
            return Unknown(reason=f"answer not verified: {error}")
        code = str(fields.get("respCode"))
        if code in good:
            return Answer(code=code, fields=fields)
        reaction = reactions.get(code, OTHERS)
        if reaction is Reaction.UNKNOWN or not _CODE.fullmatch(code):
            return Unknown(
                reason=f"respCode {code}"[:40] if _CODE.fullmatch(code) else "no respCode", unwell=code == ASK
            )
        return Refusal(reaction=reaction, code=code, message=printable(str(fields.get("respMsg", ""))))
