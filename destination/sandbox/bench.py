"""Everything the sandbox holds beside the ledger: clock, switches, accounts, keys, faults."""

from __future__ import annotations

from destination.sandbox.clock import Clock
from destination.sandbox.faults import Faults, Scripts
from destination.sandbox.gateway import Gateway
from destination.sandbox.keys import DEFAULT_ACCOUNT, Keys
from destination.sandbox.operations import load
from destination.sandbox.switches import Switches
from destination.sandbox.world.account import Account
from destination.sandbox.world.ids import Ids


class Bench:
    """The state that requests and control commands change."""

    def __init__(self, clock: Clock, switches: Switches, seed: str) -> None:
        self.clock = clock
        self.switches = switches
        self.seed = seed
        self.keys = Keys()
        self.gateway = Gateway(load(), self.keys, switches)
        self.clear()

    def clear(self) -> None:
        """Forget all accounts, faults, scripts and used-up limits; keys and switches stay."""
        self.accounts: dict[str, Account] = {}
        self.faults = Faults()
        self.scripts = Scripts()
        self.gateway.limits.clear()
        self.ids = Ids(self.seed)

    def account(self, name: str = DEFAULT_ACCOUNT) -> Account:
        """The account of that name, empty if it is new."""
        if name not in self.accounts:
            self.accounts[name] = Account(name, self.seed)
        return self.accounts[name]

    def settle(self, now: float) -> None:
        """Do in every account what is due."""
        for account in self.accounts.values():
            account.schedule.settle(now)
