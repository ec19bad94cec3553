"""The faults that can be set: their names, what they do, and which call meets which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from app.sandbox.config import CallGroup
from app.sandbox.operations import CREATE_LEAD, LIST_LEADS, OPERATIONS, Operation

EVERY = "*"


class Moment(StrEnum):
    """When a fault strikes, seen from the stand-in's own commit."""

    BEFORE = "before"
    AFTER = "after"
    ALTERS = "alters"
    """It answers, but keeps or tells something else. Goes together with another fault."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    moment: Moment
    label: str
    """For the inbox."""
    operation: str = CREATE_LEAD
    """Where it strikes unless told otherwise: an operation, a group of calls, or `*`."""
    seconds: float = 0
    """Unless told otherwise."""


_B, _A, _X = Moment.BEFORE, Moment.AFTER, Moment.ALTERS

KINDS: Mapping[str, FaultKind] = {
    "500_before": FaultKind(_B, "Fel 500"),
    "drop_before": FaultKind(_B, "Bryter"),
    "hang_before": FaultKind(_B, "Svarar aldrig", seconds=600),
    "429": FaultKind(_B, "För många anrop, 429"),
    "400": FaultKind(_B, "Avvisar, 400"),
    "401": FaultKind(_B, "Fel inloggning, 401"),
    "403": FaultKind(_B, "Nekar, 403"),
    "404": FaultKind(_B, "Finns inte, 404"),
    "redirect_302": FaultKind(_B, "Skickar vidare, 302"),
    "500_after": FaultKind(_A, "Fel 500"),
    "drop_after": FaultKind(_A, "Bryter"),
    "hang_after": FaultKind(_A, "Svarar aldrig", seconds=600),
    "empty_200_after": FaultKind(_A, "Tomt svar"),
    "html_200_after": FaultKind(_A, "HTML i svaret"),
    "truncated_after": FaultKind(_A, "Avhugget svar"),
    "drip": FaultKind(_A, "Svaret droppar", seconds=1),
    "late_commit": FaultKind(_A, "Sparar senare", seconds=5),
    "slow": FaultKind(_X, "Långsamt", seconds=5),
    "tags_dropped": FaultKind(_X, "Tappar UTM-taggar"),
    "reads_forbidden": FaultKind(_B, "Nekar läsning, 403", operation=CallGroup.READ),
    "reads_blind": FaultKind(_X, "Läser inget", operation=CallGroup.READ),
    "list_as_object": FaultKind(_X, "Objekt i stället för lista", operation=LIST_LEADS),
}

_OPERATIONS = frozenset({EVERY, *CallGroup, *(operation.name for operation in OPERATIONS)})


class FaultOrder(BaseModel):
    """What is sent to set a fault."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        coerce_numbers_to_str=True,
    )

    name: str
    operation: str = ""
    """An operationId, a group of calls, or `*`; the kind's own when empty."""
    times: Annotated[int, Field(ge=1)] | None = None
    """The next so many calls; None until cleared."""
    match: str = ""
    """Only calls that carry this text, in body or address."""
    seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] | None = None
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    """Instead of 500; for late_commit instead of no answer."""
    retry_after: Annotated[str, Field(pattern=r"^[ -~]*$", max_length=100)] | None = None
    """Seconds, a date or nonsense: sent as it is."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name not in KINDS:
            raise ValueError(f"one of {', '.join(KINDS)}")
        return name

    @field_validator("operation")
    @classmethod
    def _check_operation(cls, operation: str) -> str:
        if operation and operation not in _OPERATIONS:
            raise ValueError(f"one of {', '.join(sorted(_OPERATIONS))}")
        return operation

    @model_validator(mode="after")
    def _check_late(self) -> Self:
        if self.name == "late_commit" and self.operation not in {"", CREATE_LEAD, CallGroup.CREATE}:
            raise ValueError("only a lead can be committed late")
        return self


@dataclass(slots=True, kw_only=True)
class Fault:
    """A fault that stands."""

    id: int
    order: FaultOrder
    used: int = 0

    @property
    def name(self) -> str:
        return self.order.name

    @property
    def kind(self) -> FaultKind:
        return KINDS[self.name]

    @property
    def operation(self) -> str:
        return self.order.operation or self.kind.operation

    @property
    def seconds(self) -> float:
        return self.kind.seconds if self.order.seconds is None else self.order.seconds

    @property
    def remaining(self) -> int | None:
        return None if self.order.times is None else self.order.times - self.used

    def concerns(self, operation: Operation, text: str) -> bool:
        return self.operation in {EVERY, operation.group, operation.name} and self.order.match in text


class FaultBoard:
    """The faults that stand, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = count(1)

    @property
    def faults(self) -> tuple[Fault, ...]:
        return tuple(self._faults)

    def set(self, orders: Sequence[FaultOrder]) -> None:
        self._faults += [Fault(id=next(self._ids), order=order) for order in orders]

    def clear(self, fault_id: int | None = None) -> None:
        """One of them, or all."""
        self._faults = [] if fault_id is None else [one for one in self._faults if one.id != fault_id]

    def take(self, operation: Operation, text: str) -> tuple[Fault, ...]:
        """Those that this call meets: the oldest that breaks it, and every one that alters it. Counts them."""
        met = [fault for fault in self._faults if fault.concerns(operation, text)]
        altering = [fault for fault in met if fault.kind.moment is Moment.ALTERS]
        taken = [*altering, *[fault for fault in met if fault not in altering][:1]]
        for fault in taken:
            fault.used += 1
        self._faults = [fault for fault in self._faults if fault.remaining != 0]
        return tuple(taken)
