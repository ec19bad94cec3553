"""What may happen next to a lead on its way: each step of worker, network, Vitec, clock and operator."""

from collections.abc import Callable, Iterator

from proof.machine import (
    Intent,
    Lead,
    Machine,
    Negative,
    Reading,
    Request,
    Sight,
    State,
    Step,
    Word,
    Worker,
)

Next = Iterator[tuple[str, State]]

IDLE = Worker()
_CLAIMED = Worker(Step.CLAIMED, current=True)


def begin(machine: Machine) -> State:
    sight = Sight.BLIND if machine.reading is Reading.BLIND else Sight.CLEAR
    return State(Lead.PENDING, False, False, 0, None, (IDLE,) * machine.workers, (), (), sight)


def list_next(machine: Machine, state: State) -> Next:
    """Every state that may come next, with what happened."""
    yield from _travel(machine, state)
    for number, worker in enumerate(state.workers):
        for what, after in _STEPS[worker.step](machine, state, number):
            yield f"worker {number + 1} {what}", after
        if worker.step is not Step.IDLE:
            yield f"worker {number + 1} is killed", _put(state, number, IDLE)
    yield from _pass_time(machine, state)
    yield from _disturb(machine, state)


def _pass_time(machine: Machine, state: State) -> Next:
    later = state._replace(
        workers=tuple(
            worker._replace(deadline=max(-1, worker.deadline - 1)) if worker.step is Step.READY else worker
            for worker in state.workers
        ),
        requests=tuple(Request(number, life - 1) for number, life in state.requests if life > 0),
        vitec=tuple(max(0, unseen - 1) for unseen in state.vitec),
        sight=Sight.RESTED if state.sight is Sight.SPELL else state.sight,
    )
    intent = state.intent
    if intent is None:
        yield "a tick passes", later
        return
    if intent.negative is Negative.FRESH:
        intent = intent._replace(negative=Negative.AGED)
    if intent.deadline > 0:
        yield "a tick passes", later._replace(intent=intent._replace(deadline=intent.deadline - 1))
        return
    yield "a tick passes", later._replace(intent=intent._replace(settle=max(0, intent.settle - 1)))
    if intent.settle > 0:
        yield "a tick passes that nobody observes", later._replace(intent=intent)
        if not machine.observed_time:
            yield "the clock jumps ahead", state._replace(intent=intent._replace(deadline=0, settle=0))


def _disturb(machine: Machine, state: State) -> Next:
    if state.leased and machine.leases_expire:
        yield "the lease runs out", state._replace(leased=False)
    if state.lead is Lead.HELD:
        retried = state._replace(lead=Lead.PENDING, leased=False, look_first=True)
        yield (
            "the operator retries",
            retried._replace(
                creates=0 if machine.renews else state.creates, workers=_outdate(machine, state.workers)
            ),
        )
    if state.sight is Sight.CLEAR and machine.reading in {Reading.PROVEN, Reading.FADING}:
        yield "for a moment nothing can be found", state._replace(sight=Sight.SPELL)
    if state.sight is not Sight.BLIND and machine.reading is Reading.FADING:
        yield "from now on nothing can be found", state._replace(sight=Sight.BLIND)


_FATES = (
    ("creates the lead and says 200", True, Word.CREATED),
    ("creates the lead and says 500", True, Word.ERROR),
    ("creates the lead and is not heard", True, Word.NONE),
    ("creates nothing and says 500", False, Word.ERROR),
    ("creates nothing and says 429", False, Word.NOT_TAKEN),
    ("creates nothing and says 400", False, Word.REFUSED),
    ("never gets the request", False, Word.NONE),
)


def _travel(machine: Machine, state: State) -> Next:
    for request in state.requests:
        left = tuple(other for other in state.requests if other != request)
        for what, creates, word in _FATES:
            vitec = (*state.vitec, machine.lag) if creates else state.vitec
            workers = _hear(state.workers, request.number, word) if word else state.workers
            yield f"Vitec {what}", state._replace(requests=left, vitec=vitec, workers=workers)


def _hear(workers: tuple[Worker, ...], request: int, word: Word) -> tuple[Worker, ...]:
    return tuple(
        worker._replace(step=Step.ANSWERED, word=word)
        if worker.step is Step.WAITING and worker.request == request
        else worker
        for worker in workers
    )


def _claim(machine: Machine, state: State, number: int) -> Next:
    if state.lead is not Lead.PENDING or state.leased:
        return
    state = state._replace(leased=True, workers=_outdate(machine, state.workers))
    intent = state.intent
    if intent is not None and not machine.reconciles_open:
        yield "claims and forgets the open attempt", _put(state._replace(intent=None), number, _CLAIMED)
    elif intent is not None or state.look_first:
        looking = Worker(
            Step.LOOKING,
            current=True,
            request=intent.request if intent else 0,
            settled=intent is not None and intent.settle == 0,
            earlier=intent.negative if intent else Negative.NONE,
            trusted=not machine.canary_after_look and _finds_canary(machine, state),
        )
        yield "claims and looks", _put(state, number, looking)
    else:
        yield "claims", _put(state, number, _CLAIMED)


def _outdate(machine: Machine, workers: tuple[Worker, ...]) -> tuple[Worker, ...]:
    """A newer claim. What only an older one's decisions would rest on matters no more, if there is a fence."""
    return tuple(
        Worker(worker.step, request=worker.request, word=worker.word)
        if machine.fence and worker.step in {Step.LOOKING, Step.SEEN}
        else worker._replace(current=False)
        for worker in workers
    )


def _prepare(machine: Machine, state: State, number: int) -> Next:
    if not _may_decide(machine, state, number):
        yield "finds its lease lost", _put(state, number, IDLE)
    elif machine.index and state.intent is not None:
        yield "is refused by the index", _put(state, number, IDLE)
    else:
        request = _draw_number(state)
        ready = state.workers[number]._replace(step=Step.READY, request=request, deadline=machine.deadline)
        intent = Intent(request, machine.deadline, machine.settle) if machine.intent else None
        what = "commits its intent" if intent else "is about to send, on no record"
        yield what, _put(state._replace(intent=intent, look_first=False), number, ready)


def _draw_number(state: State) -> int:
    used = [worker.request for worker in state.workers] + [request.number for request in state.requests]
    return max([*used, state.intent.request if state.intent else 0]) + 1


def _send(machine: Machine, state: State, number: int) -> Next:
    worker = state.workers[number]
    settled = _settle_attempt(state, number)
    yield "cannot send, and says so", _finish(machine, settled, number)
    if worker.deadline >= 0 or not machine.guard:
        waiting = worker._replace(step=Step.WAITING, deadline=0)
        requests = (*state.requests, Request(worker.request, machine.late))
        what = "sends" if worker.deadline >= 0 else "wakes past its deadline and sends"
        yield what, _put(state._replace(requests=requests), number, waiting)


def _wait(machine: Machine, state: State, number: int) -> Next:
    yield "hears nothing and gives up", _leave_unknown(machine, state, number)


def _settle(machine: Machine, state: State, number: int) -> Next:
    word = state.workers[number].word
    if word is Word.CREATED:
        yield "records the lead's id", _deliver(state, number)
    elif word is Word.ERROR:
        yield "records that it does not know", _leave_unknown(machine, state, number)
    elif word is Word.NOT_TAKEN:
        yield "records that it was not taken", _finish(machine, _settle_attempt(state, number), number)
    else:
        held = _finish(machine, _settle_attempt(state, number), number, lead=Lead.HELD)
        yield "records the refusal", held


def _look(machine: Machine, state: State, number: int) -> Next:
    yield "cannot look", _finish(machine, state, number)
    worker = state.workers[number]
    if machine.reading is Reading.FORBIDDEN:
        yield "may not look", _put(state, number, worker._replace(step=Step.SEEN, word=Word.FORBIDDEN))
        return
    sees = 0 in state.vitec and state.sight in {Sight.CLEAR, Sight.RESTED}
    if sees:
        yield "finds the lead", _deliver(state, number)
    if not sees or machine.reading is Reading.UNPROVEN:
        trusted = worker.trusted if not machine.canary_after_look else _finds_canary(machine, state)
        word = Word.ABSENT if trusted or not machine.canary else Word.WORTHLESS
        yield "finds nothing", _put(state, number, worker._replace(step=Step.SEEN, trusted=False, word=word))


def _finds_canary(machine: Machine, state: State) -> bool:
    return machine.reading in {Reading.PROVEN, Reading.FADING} and state.sight is not Sight.BLIND


def _conclude(machine: Machine, state: State, number: int) -> Next:
    worker, intent = state.workers[number], state.intent
    if not _may_decide(machine, state, number) or (intent.request if intent else 0) != worker.request:
        yield "has no say any more", _put(state, number, IDLE)
    elif intent is None:
        # Every attempt is settled as not taken: one look was all, whatever it was worth.
        yield "goes on", _put(state, number, worker._replace(step=Step.CLAIMED, word=Word.NONE))
    elif worker.word is Word.FORBIDDEN:
        yield _give_up(machine, state, number)
    elif not (worker.settled if machine.asked_after_settle else intent.settle == 0):
        yield "will look again", _finish(machine, state, number)
    elif worker.word is Word.WORTHLESS:
        yield _give_up(machine, state, number)
    elif _is_enough(machine, worker, intent):
        yield _conclude_absence(machine, state, number)
    else:
        fresh = intent._replace(negative=Negative.FRESH) if intent.negative is Negative.NONE else intent
        yield "counts a negative", _finish(machine, state._replace(intent=fresh), number)


def _conclude_absence(machine: Machine, state: State, number: int) -> tuple[str, State]:
    creates = state.creates + 1
    if creates < machine.creates:
        settled = state._replace(intent=None, creates=creates)
        return "concludes that it was not created", _finish(machine, settled, number)
    settled = state._replace(intent=None, creates=creates) if machine.renews else state
    return "leaves it to a human after so many", _finish(machine, settled, number, lead=Lead.HELD)


def _is_enough(machine: Machine, worker: Worker, intent: Intent) -> bool:
    if machine.negatives == 1 or worker.earlier is Negative.AGED:
        return True
    return intent.negative is not Negative.NONE and not machine.apart


def _give_up(machine: Machine, state: State, number: int) -> tuple[str, State]:
    if machine.resends:
        return "sends it again all the same", _finish(machine, state._replace(intent=None), number)
    return "leaves it to a human", _finish(machine, state, number, lead=Lead.HELD)


def _leave_unknown(machine: Machine, state: State, number: int) -> State:
    if machine.believes_silence:
        return _deliver(state, number)
    if not machine.reconciles_unknown:
        state = _settle_attempt(state, number)
    return _finish(machine, state, number)


def _deliver(state: State, number: int) -> State:
    """A fact: it counts whoever reports it."""
    return _put(state._replace(lead=Lead.DELIVERED, leased=False, intent=None), number, IDLE)


def _settle_attempt(state: State, number: int) -> State:
    """A fact as well: the worker's own attempt left nothing in Vitec."""
    own = state.intent is not None and state.intent.request == state.workers[number].request
    return state._replace(intent=None) if own else state


def _finish(machine: Machine, state: State, number: int, *, lead: Lead = Lead.PENDING) -> State:
    """A decision: due again, or held; dropped when the lease was lost."""
    if _may_decide(machine, state, number):
        state = state._replace(lead=lead, leased=False)
    return _put(state, number, IDLE)


def _may_decide(machine: Machine, state: State, number: int) -> bool:
    newest = state.workers[number].current or not machine.fence
    return newest and state.lead is Lead.PENDING


def _put(state: State, number: int, worker: Worker) -> State:
    return state._replace(workers=(*state.workers[:number], worker, *state.workers[number + 1 :]))


_STEPS: dict[Step, Callable[[Machine, State, int], Next]] = {
    Step.IDLE: _claim,
    Step.CLAIMED: _prepare,
    Step.READY: _send,
    Step.WAITING: _wait,
    Step.ANSWERED: _settle,
    Step.LOOKING: _look,
    Step.SEEN: _conclude,
}
