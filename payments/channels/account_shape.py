"""What a channel wants to know of an account: names of settings and secrets, as data."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any


def _no_further_issues(_settings: Mapping[str, Any]) -> list[str]:
    return []


@dataclass(frozen=True, kw_only=True)
class AccountShape:
    """The names in an account's settings and secrets; docs/deploy.md says what they hold.

    `their_keys` is the setting that maps serial numbers to the channel's public keys in PEM. `identity` are the
    settings that the channel knows the account by: its trades are found under these alone. `payers_by` are those under
    which it names a payer: where they are the same, so is the payer's id. `payers_asked_by` are the optional names,
    all of them or none, by which the cashier asks the channel who pays. `lists` are settings that hold texts, with
    those that each may hold; no text at all is a choice, too.
    """

    their_keys: str
    identity: frozenset[str]
    payers_by: frozenset[str]
    settings: frozenset[str]
    settings_maybe: frozenset[str]
    secrets: frozenset[str]
    secrets_maybe: frozenset[str]
    payers_asked_by: frozenset[str]
    lists: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    # What else is wrong with settings whose names are right.
    further_issues: Callable[[Mapping[str, Any]], list[str]] = _no_further_issues

    def issues(self, *, settings: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:
        """What is missing, unknown or empty, by name and never by value."""
        found = [
            *_name_issues(
                "settings",
                {name: value for name, value in settings.items() if name not in self.lists},
                needed=self.settings,
                known=self.settings | self.settings_maybe,
            ),
            *(
                f"settings: {name} must be a list of {', '.join(sorted(allowed)) if allowed else 'texts'}"
                for name, allowed in self.lists.items()
                if name in settings and not _is_list_of(settings[name], allowed)
            ),
            *_name_issues("secrets", secrets, needed=self.secrets, known=self.secrets | self.secrets_maybe),
            *self._half_of_asking_payers(settings.keys() | secrets.keys()),
        ]
        return found or self.further_issues(settings)

    def may_ask_payers(self, settings: Mapping[str, Any]) -> bool:
        """Whether an account that was looked at with `issues` has what it takes to ask a payer's browser who it is."""
        return self.payers_asked_by & self.settings_maybe <= settings.keys()

    def _half_of_asking_payers(self, given: Set[str]) -> list[str]:
        missing = self.payers_asked_by - given
        if not missing or missing == self.payers_asked_by:
            return []
        return [f"to ask payers who they are, {name} is missing" for name in sorted(missing)]


def _name_issues(what: str, given: Mapping[str, Any], *, needed: frozenset[str], known: frozenset[str]) -> list[str]:
    return [
        *(f"{what}: {name} is missing" for name in sorted(needed - given.keys())),
        *(f"{what}: {name} is not known" for name in sorted(given.keys() - known)),
        *(f"{what}: {name} is empty" for name in sorted(known & given.keys()) if not given[name]),
    ]


def _is_list_of(value: object, allowed: frozenset[str] | None) -> bool:
    if not isinstance(value, list):
        return False
    return all(isinstance(text, str) and (allowed is None or text in allowed) for text in value)
