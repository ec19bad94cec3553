"""Who is calling, and which customers they may speak for."""

import base64
import binascii
from dataclasses import dataclass

from app.sandbox.config import CallGroup, Customer, SandboxConfig
from app.sandbox.replies import refuse_access, refuse_login


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    customers: tuple[Customer, ...]
    """Those that the login opens, for this group of calls."""
    mistaken: frozenset[str]
    """Customers where the user name is known and the password is another."""

    def admit(self, customer_id: str) -> Customer:
        """Raises Refusal: 401 for the wrong password at that customer, 403 for no access to it."""
        for customer in self.customers:
            if customer.id == customer_id:
                return customer
        raise refuse_login() if customer_id in self.mistaken else refuse_access()


def authenticate(header: str, group: CallGroup, *, config: SandboxConfig) -> Caller:
    """Raises Refusal, 401, for credentials that open no customer for this group of calls."""
    username, password = _read_basic(header)
    known = [customer for customer in config.customers if customer.login.username == username]
    opened = tuple(one for one in known if one.login.opens(group, username=username, password=password))
    if not opened:
        raise refuse_login()
    return Caller(customers=opened, mistaken=frozenset(one.id for one in known) - {one.id for one in opened})


def _read_basic(header: str) -> tuple[str, str]:
    """Basic in UTF-8 (RFC 7617)."""
    scheme, _, encoded = header.partition(" ")
    try:
        username, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise refuse_login() from None
    if scheme.lower() != "basic" or not colon:
        raise refuse_login()
    return username, password
