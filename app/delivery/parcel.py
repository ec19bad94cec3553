"""A claimed lead with everything its way to Vitec needs, and the terms of the journey."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.forms.model import CallGroup, Form, Login
from app.lead import Destination, Lead
from app.store.words import Claim, GateKey, Payload

MAY_EXIST = "may exist in Vitec"
"""Why a lead is held whose create may have arrived; what keeps us from knowing follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the operator has set."""

    timeout: timedelta
    schedule: Sequence[timedelta]
    settle: timedelta = timedelta(minutes=15)
    """After a create's deadline, when what has not appeared in Vitec never will."""
    rate: float = 10
    """Requests a second."""
    concurrency: int = 5
    """Leads under way at once."""

    @property
    def lease(self) -> timedelta:
        """Longer than six calls, each within its own deadline and its turn among the others' calls.

        It begins anew with every attempt and with every lead that is read back: between them no turn makes more.
        """
        return 6 * (self.timeout + timedelta(seconds=self.concurrency / self.rate)) + timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    claim: Claim
    lead: Lead
    form: Form
    login: Login
    destination: Destination
    payload: Payload

    @property
    def customer_id(self) -> str:
        return self.destination.customer_id

    def gate(self, group: CallGroup) -> GateKey:
        return GateKey(
            base_url=self.login.base_url,
            login=self.login.name,
            customer_id=self.destination.customer_id,
            call_group=group,
        )
