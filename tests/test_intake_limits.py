"""How many leads one client may send, and in whose name they are counted."""

from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forms.model import ApiKey, Form, Spam
from app.intake import limits
from app.intake.callers import Caller, KeyRefused, find_key, identify
from app.intake.limits import Limiter, LimitReached
from tests.submissions import NOW, form

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
ANNA = Caller(bucket="anna")
BO = Caller(bucket="bo")


def send(limiter: Limiter, caller: Caller = ANNA, *, at: datetime = NOW, name: str = "kontakt") -> bool:
    """Whether there was a place for one more lead."""
    try:
        with limiter.hold_place(caller, name, now=at) as place:
            place.counted = True
    except LimitReached:
        return False
    return True


def wait_of(limiter: Limiter, caller: Caller = ANNA, *, at: datetime) -> timedelta:
    with pytest.raises(LimitReached) as reached:
        limiter.hold_place(caller, "kontakt", now=at)
    return reached.value.retry_after


def test_a_client_may_send_so_many_and_is_told_when_again() -> None:
    limiter = Limiter("3/minute")
    assert [send(limiter, at=NOW + number * SECOND) for number in range(5)] == [True] * 3 + [False] * 2
    assert wait_of(limiter, at=NOW + 20 * SECOND) == 40 * SECOND
    assert not send(limiter, at=NOW + MINUTE - SECOND / 1000)
    assert send(limiter, at=NOW + MINUTE)
    assert wait_of(limiter, at=NOW + MINUTE) == SECOND


def test_each_client_and_each_form_is_counted_for_itself() -> None:
    limiter = Limiter("1/minute")
    assert send(limiter)
    assert send(limiter, BO)
    assert send(limiter, name="vardering")
    assert not send(limiter)


def test_of_two_limits_the_one_that_lasts_longer_is_told() -> None:
    limiter = Limiter("2/minute, 3/hour")
    assert [send(limiter, at=NOW + number * 31 * SECOND) for number in range(4)] == [True] * 3 + [False]
    assert wait_of(limiter, at=NOW + 2 * MINUTE) == timedelta(minutes=58)


def test_what_was_not_kept_or_was_kept_before_counts_nothing() -> None:
    limiter = Limiter("1/minute")
    for _ in range(3):
        with limiter.hold_place(ANNA, "kontakt", now=NOW):
            pass
    with pytest.raises(ValueError, match="x"), limiter.hold_place(ANNA, "kontakt", now=NOW):
        raise ValueError("x")
    assert send(limiter)
    assert not send(limiter)


def test_those_that_are_being_kept_hold_their_places() -> None:
    limiter = Limiter("2/minute")
    with limiter.hold_place(ANNA, "kontakt", now=NOW) as one:
        with limiter.hold_place(ANNA, "kontakt", now=NOW) as other:
            assert not send(limiter)
            assert send(limiter, BO)
            other.counted = True
        one.counted = False
        assert not send(limiter)
    assert send(limiter)
    assert not send(limiter)


def test_off_is_no_limit_and_a_trusted_network_has_none() -> None:
    assert all(send(Limiter("off")) for _ in range(50))
    limiter = Limiter("1/hour")
    assert all(send(limiter, Caller(bucket="office", trusted=True)) for _ in range(50))


def test_a_server_has_its_own_limit_for_all_its_forms_together() -> None:
    portal = Caller(bucket="key portal", key=ApiKey(name="portal", hash="", rate="3/minute"))
    plain = Caller(bucket="key plain", key=ApiKey(name="plain", hash=""))
    limiter = Limiter("1/minute")
    assert [send(limiter, portal, name=name) for name in "abca"] == [True, True, True, False]
    assert [send(limiter, plain, name=name) for name in "ab"] == [True, False]


def test_more_than_twenty_a_minute_are_noticed_but_not_of_servers_and_trusted_networks() -> None:
    limiter = Limiter("off")
    assert [limiter.notice(ANNA, now=NOW) for _ in range(22)] == [False] * 20 + [True] * 2
    assert not limiter.notice(BO, now=NOW)
    assert not limiter.notice(ANNA, now=NOW + MINUTE)
    for caller in (Caller(bucket="o", trusted=True), Caller(bucket="k", key=ApiKey(name="k", hash=""))):
        assert not any(limiter.notice(caller, now=NOW) for _ in range(50))


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.booleans()), min_size=1, max_size=150)
)
def test_no_window_ever_holds_more_than_allowed_and_nobody_waits_longer_than_told(
    steps: list[tuple[str, int, bool]],
) -> None:
    limiter, now = Limiter("3/minute, 8/hour"), NOW
    kept: dict[str, list[datetime]] = {name: [] for name in "abc"}
    for name, seconds, counted in steps:
        now += seconds * SECOND
        recent = [at for at in kept[name] if at > now - MINUTE], kept[name][-8:]
        free = len(recent[0]) < 3 and (len(recent[1]) < 8 or recent[1][0] <= now - 60 * MINUTE)
        try:
            with limiter.hold_place(Caller(bucket=name), "kontakt", now=now) as place:
                place.counted = counted
            assert free
            kept[name] += [now] * counted
        except LimitReached as reached:
            assert not free
            now += reached.retry_after
            with limiter.hold_place(Caller(bucket=name), "kontakt", now=now):
                pass


def test_clients_that_went_away_are_forgotten() -> None:
    limiter = Limiter("5/minute")
    for number in range(2000):
        assert send(limiter, Caller(bucket=str(number)), at=NOW + number * SECOND)
        limiter.notice(Caller(bucket=str(number)), now=NOW + number * SECOND)
    assert len(limiter._accepted._clients) < 130
    assert len(limiter._sent._clients) < 130


def test_a_flood_from_ever_new_addresses_takes_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST_CLIENTS", 50)
    limiter = Limiter("1/hour")
    for number in range(200):
        assert send(limiter, Caller(bucket=str(number)))
    assert len(limiter._accepted._clients) == 50
    assert not send(limiter, Caller(bucket="199"))
    assert send(limiter, Caller(bucket="1"))


def test_a_clock_that_steps_back_frees_nobody() -> None:
    limiter = Limiter("2/minute, 3/hour")
    assert send(limiter, at=NOW + 30 * SECOND)
    assert send(limiter, at=NOW)
    assert not send(limiter, at=NOW + 31 * SECOND)
    assert send(limiter, at=NOW + MINUTE)


def test_a_clock_that_is_put_right_locks_nobody_out() -> None:
    limiter = Limiter("3/minute, 5/hour")
    tomorrow = NOW + timedelta(days=1)
    assert [send(limiter, at=tomorrow) for _ in range(4)] == [True] * 3 + [False]
    assert all(not limiter.notice(ANNA, now=tomorrow) for _ in range(20))
    assert [send(limiter, at=NOW) for _ in range(4)] == [True] * 3 + [False]
    assert not limiter.notice(ANNA, now=NOW)
    assert wait_of(limiter, at=NOW) == MINUTE


def trusting(*networks: str) -> Form:
    return replace(form(), spam=Spam(trusted_networks=networks))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("unknown", "unknown", True),
        ("unknown", None, False),
    ],
)
def test_an_address_is_counted_as_one_customer_s(one: str | None, other: str | None, *, same: bool) -> None:
    buckets = {identify(host, form()).bucket for host in (one, other)}
    assert (len(buckets) == 1) is same
    assert not any(str(host) in bucket for bucket in buckets for host in (one, other))


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("192.0.2.77", True),
        ("::ffff:192.0.2.77", True),
        ("192.0.3.1", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("unknown", False),
        (None, False),
    ],
)
def test_a_form_trusts_networks(host: str | None, *, trusted: bool) -> None:
    assert identify(host, trusting("192.0.2.0/24", "2001:db8::/32")).trusted is trusted
    assert not identify(host, form()).trusted


KEYS = {
    name: ApiKey(name=name, hash=sha256(f"{name}-secret".encode()).hexdigest(), forms=forms)
    for name, forms in {"portal": ("all",), "other": ("strict",)}.items()
}


@pytest.mark.parametrize(
    ("authorization", "name"),
    [
        (None, None),
        ("Basic dTpw", None),
        ("Bearer portal-secret", "portal"),
        ("bearer  portal-secret ", "portal"),
    ],
)
def test_a_key_is_known_by_its_digest(authorization: str | None, name: str | None) -> None:
    found = find_key(authorization, form(), KEYS)
    assert (found and found.name) == name
    requiring = replace(form(), spam=Spam(require_key=True))
    if name:
        assert find_key(authorization, requiring, KEYS) == found
    else:
        with pytest.raises(KeyRefused):
            find_key(authorization, requiring, KEYS)


@pytest.mark.parametrize(
    ("authorization", "known"),
    [
        ("Bearer", False),
        ("Bearer ", False),
        ("Bearer wrong", False),
        ("Bearer Portal-secret", False),
        (f"Bearer {KEYS['portal'].hash}", False),
        ("Bearer other-secret", True),
        ("Bearer \x00\xe5", False),
    ],
)
def test_a_key_that_is_shown_in_vain_is_refused_whether_one_is_asked_for_or_not(
    authorization: str, *, known: bool
) -> None:
    with pytest.raises(KeyRefused) as refused:
        find_key(authorization, form(), KEYS)
    assert refused.value.known is known
