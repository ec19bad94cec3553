"""How each destination is doing: this process's counting, and the circuit that all workers share."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random, SystemRandom

from app.delivery.breaker import FORGET_AFTER, FULL, Breaker, pause_after
from app.errors import StoreUnavailable
from app.log import get_logger
from app.store.circuits import Circuit, load_circuits, open_circuit, raise_allowance, slow_down
from app.store.store import Store
from app.vitec.answers import Answer

_log = get_logger("delivery")


def lacks_password(answer: Answer) -> bool:
    """Whether nothing was asked because the password cannot be read: our trouble, not the destination's."""
    return not answer.sent and " " in answer.error


@dataclass(slots=True, kw_only=True)
class Health:
    store: Store
    now: Callable[[], datetime]
    random: Random = field(default_factory=SystemRandom)
    circuits: dict[str, Circuit] = field(default_factory=dict)
    """As last read."""
    _breakers: dict[str, Breaker] = field(default_factory=lambda: defaultdict(Breaker))
    _failed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The leads that have met a failure since their destination is being tried."""

    async def refresh(self) -> None:
        before, self.circuits = self.circuits, await self.store.read(load_circuits)
        for base_url, circuit in self.circuits.items():
            if circuit.state == "trying" and (base_url not in before or before[base_url].state != "trying"):
                self._failed.pop(base_url, None)

    def is_ill(self, base_url: str) -> bool:
        """Whether calls fail for everybody; from the first pause until all may call again."""
        circuit = self.circuits.get(base_url)
        return circuit is not None and circuit.state != "closed"

    def has_failed_on_trial(self, base_url: str, lead_id: str) -> bool:
        """Whether this lead met a failure where the probe had just been answered: it may be its own trouble."""
        return lead_id in self._failed[base_url]

    async def record(self, base_url: str, answer: Answer, *, lead_id: str) -> None:
        """Counts a call. An answer below 500 is a sign of life, whatever it says; 429 asks for less.

        What cannot be kept of it is let go: what was answered for the lead is worth more, and waits to be kept.
        """
        try:
            await self._record(base_url, answer, lead_id=lead_id)
        except StoreUnavailable as error:
            _log.warning("health_not_kept", destination=base_url, cause=str(error))

    async def _record(self, base_url: str, answer: Answer, *, lead_id: str) -> None:
        now = self.now()
        reached = answer.status is not None
        if lacks_password(answer):
            return
        if answer.status == 429:
            await self._ease(base_url, answer, now=now)
            return
        ok = answer.status is not None and answer.status < 500 and not answer.error
        state = self.circuits[base_url].state if base_url in self.circuits else "closed"
        if not ok and state == "open":
            return  # it was under way by then
        opens = self._breakers[base_url].record(lead_id=lead_id, ok=ok, reached=reached, now=now)
        if not ok and state == "trying":
            failed = self._failed[base_url]
            failed.add(lead_id)
            # An answer that fails for one lead alone is its own trouble, and the next is tried.
            opens = opens or not reached or len(failed) > 1
        if opens:
            await self.reopen(base_url, answer)
        elif ok and self.is_ill(base_url):
            await self.store.write(
                lambda connection: raise_allowance(
                    connection, base_url, full=FULL, forget_after=FORGET_AFTER, now=now
                )
            )
            await self.refresh()

    async def reopen(self, base_url: str, answer: Answer) -> None:
        """For longer than the last time, after such an answer, and for no less than it asks."""
        now = self.now()
        known = self.circuits.get(base_url)
        pause = pause_after(known.openings if known else 0, random=self.random)
        until = now + max(pause, answer.retry_after or timedelta())
        # Who is busy is given as long as it asks for; who does not say, ever longer until it lets something through.
        spared_in_vain = not answer.retry_after and known is not None and known.allowance <= 1
        ill = answer.status != 429 or spared_in_vain
        await self.store.write(
            lambda connection: open_circuit(connection, base_url, until=until, now=now, ill=ill)
        )
        cause = answer.error or f"status {answer.status}"
        _log.error("circuit_open", destination=base_url, until=until.isoformat(), cause=cause)
        self._breakers.pop(base_url, None)  # once it is tried, it is counted anew
        await self.refresh()

    async def _ease(self, base_url: str, answer: Answer, *, now: datetime) -> None:
        wait = answer.retry_after
        _log.warning(
            "asked_to_slow_down", destination=base_url, seconds=wait.total_seconds() if wait else None
        )
        if wait:
            until = now + wait
            await self.store.write(
                lambda connection: open_circuit(connection, base_url, until=until, now=now, ill=False)
            )
        elif base_url in self.circuits and self.circuits[base_url].state == "trying":
            await self.reopen(base_url, answer)  # it has been slowed down already
            return
        else:
            await self.store.write(lambda connection: slow_down(connection, base_url, now=now))
        await self.refresh()
