"""Who the stand-in's customers are: their logins, users, groups and offices. The same at every start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class CallGroup(StrEnum):
    """Vitec grants passwords per customer and per group of calls."""

    CONTACT = "contact"
    """UpdatePerson and UpdateCompany."""
    CREATE = "create"
    """POST CRM/Lead."""
    READ = "read"
    """Every look-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLogin:
    """A partner's user name and password at one customer."""

    username: str = "leadgate"
    password: str = field(default="sandbox", repr=False)
    passwords: Mapping[CallGroup, str] = field(default_factory=dict, repr=False)
    """Where a group of calls has another password."""

    def opens(self, group: CallGroup, *, username: str, password: str) -> bool:
        return (username, password) == (self.username, self.passwords.get(group, self.password))


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    id: str
    name: str
    email: str
    office_id: str
    archived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UserGroup:
    id: str
    name: str
    user_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    id: str
    name: str
    email: str
    primary_lead_receiver_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A brokerage office as a customer of Vitec: its `M…` id is not the id of its office."""

    id: str
    name: str
    users: tuple[User, ...] = ()
    groups: tuple[UserGroup, ...] = ()
    offices: tuple[Office, ...] = ()
    login: SandboxLogin = SandboxLogin()

    def name_receiver(self, receiver_id: str) -> str | None:
        """The name of whoever can be given a lead. None for an unknown id and for an archived user."""
        standing = [user for user in self.users if not user.archived]
        receivers: list[User | UserGroup | Office] = [*standing, *self.groups, *self.offices]
        return next((receiver.name for receiver in receivers if receiver.id == receiver_id), None)


AGENT = "HAN0B5E2D7C41A84F0E9C6D3A1F72E85B90"
SECOND_AGENT = "HAN6C1F9A30D2E74B58A7054E3BC98D216F"
ARCHIVED_AGENT = "HAND48A17E5039B4C62B1F06C7A92E35D80"
USER_GROUP = "GRP2E90B7F4A1534D68917CD05E3F8A4B6C"
OFFICE = "FIR12345"
SOLVIKEN_AGENT = "HAN95D3E0B8726F4A1C8E41B7D60F2C9A53"
SOLVIKEN_OFFICE = "FIR30011"

LEAD_SOURCE = "LKA3F7A90C1E58B4D26A0479BD1C6E2F835"
VALUATION_SOURCE = "LKAB16D2E94073F4A5C8D9E60B7F1A3C258"

TALLVINDEN = Customer(
    id="M12345",
    name="Tallvinden Hornviken",
    users=(
        User(id=AGENT, name="Karin Ekdal", email="karin@tallvinden.example", office_id=OFFICE),
        User(id=SECOND_AGENT, name="Jonas Wiik", email="jonas@tallvinden.example", office_id=OFFICE),
        User(
            id=ARCHIVED_AGENT,
            name="Bengt Almlöv",
            email="bengt@tallvinden.example",
            office_id=OFFICE,
            archived=True,
        ),
    ),
    groups=(UserGroup(id=USER_GROUP, name="Värderingsgruppen", user_ids=(AGENT, SECOND_AGENT)),),
    offices=(
        Office(
            id=OFFICE,
            name="Tallvinden Hornviken",
            email="hornviken@tallvinden.example",
            primary_lead_receiver_id=AGENT,
        ),
    ),
)

SOLVIKEN = Customer(
    id="M30011",
    name="Tallvinden Solviken",
    users=(
        User(
            id=SOLVIKEN_AGENT, name="Sara Nordin", email="sara@tallvinden.example", office_id=SOLVIKEN_OFFICE
        ),
    ),
    offices=(
        Office(
            id=SOLVIKEN_OFFICE,
            name="Tallvinden Solviken",
            email="solviken@tallvinden.example",
            primary_lead_receiver_id=SOLVIKEN_AGENT,
        ),
    ),
)


_LEAD_SOURCES = {LEAD_SOURCE: "Webbformulär", VALUATION_SOURCE: "Värdering på webben"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """What stands in the stand-in before anything is sent to it."""

    customers: tuple[Customer, ...] = (TALLVINDEN, SOLVIKEN)
    lead_sources: Mapping[str, str] = field(default_factory=lambda: _LEAD_SOURCES)
    """Names by id, for the inbox."""
    only_known_lead_sources: bool = False
    """Whether other lead sources are refused. Vitec has no call that lists them, so by default any will do."""
