"""What a forms file may say and is asked about."""

from pathlib import Path

from app.forms.model import Login, Password
from app.forms.reader import read_forms
from app.forms.warnings import find_warnings

LOGIN = Login(name="default", username="u", password=Password(value="p"), base_url="https://vitec.example")
KEYS = 'customer_id = "M1"\nassigned_to_id = "HAN1"\nlead_source_id = "LKA1"\n'
PRIVACY = 'privacy = { controller = "AB", policy_url = "https://www.example.se/p" }\n'
FORM = f'[forms.sell]\npreset = "vardering"\n{KEYS}{PRIVACY}'
RECEIVERS = "[receivers]\na = {}\nb = {}\n"


def warnings(folder: Path, text: str) -> dict[str, str]:
    path = folder / "forms.toml"
    path.write_text(text, encoding="utf-8")
    found = find_warnings(read_forms(path, default_login=LOGIN, environ={}))
    assert {one.source for one in found} <= {str(path)}
    return {one.key: one.message for one in found}


def test_a_form_with_all_that_is_asked_for_has_no_warnings(tmp_path: Path) -> None:
    assert warnings(tmp_path, FORM) == {}


def test_the_notice_needs_a_controller_and_an_address(tmp_path: Path) -> None:
    assert warnings(tmp_path, f"[forms.sell]\n{KEYS}") == {
        "forms.sell.privacy.controller": (
            "is missing; write the company's name and registration number, as GDPR article 13 asks"
        ),
        "forms.sell.privacy.policy_url": "is missing; write the address of the agency's privacy policy",
    }


def test_an_origin_in_the_clear_is_asked_about_except_on_this_machine(tmp_path: Path) -> None:
    origins = 'allowed_origins = ["http://example.se", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:80"]'
    assert warnings(tmp_path, FORM + origins) == {
        "forms.sell.allowed_origins": (
            "http://example.se is not encrypted: others can read what its visitors write; use https"
        )
    }


def test_colours_that_are_hard_to_read_are_asked_about(tmp_path: Path) -> None:
    def look(theme: str) -> dict[str, str]:
        found = warnings(tmp_path, f"{FORM}theme = {{ {theme} }}\n")
        return {key.removeprefix("forms.sell.theme."): message for key, message in found.items()}

    assert look('accent = "#0a5c36", background = "#faf6ef", text = "#1a1a1a"') == {}
    assert look('background = "#ffffff", text = "#767676"') == {}  # 4.54
    assert look('background = "#ffffff", text = "#777777"') == {
        "text": "#777777 on #ffffff, the light background, has a contrast of 4.4:1, and text needs 4.5:1"
        " (WCAG 2.2 AA); choose colours further apart"
    }
    assert look('background = "#555555"').keys() == {"background"}
    assert look('accent = "#ffd400"') == {
        "accent": "#ffd400 on #ffffff, the light background, has a contrast of 1.4:1, and text needs 4.5:1"
        " (WCAG 2.2 AA); buttons keep it, links are shown in the text's colour"
    }
    assert look('accent = "#ffd400", mode = "dark"') == {}
    assert "the dark background" in look('accent = "#0a5c36", mode = "auto"')["accent"]


def test_customers_that_are_no_office_are_asked_about(tmp_path: Path) -> None:
    text = FORM.replace("M1", "S1") + 'receiver = "a"\n[receivers.a]\ncustomer_id = "G2"\n'
    found = warnings(tmp_path, text)
    assert list(found) == ["forms.sell.customer_id", "receivers.a.customer_id"]
    assert "no brokerage office" in found["receivers.a.customer_id"]


def test_a_receiver_that_no_form_names_is_asked_about(tmp_path: Path) -> None:
    assert warnings(tmp_path, f'{FORM}fallback_receiver = "b"\n{RECEIVERS}') == {
        "receivers.a": "is named by no form; only a page that asks for it reaches it"
    }


def test_a_receiver_that_no_page_may_ask_for_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(FORM, encoding="utf-8")
    (tmp_path / "b.toml").write_text('[receivers]\na = {}\nb = { customer_id = "M2" }\n', encoding="utf-8")
    found = find_warnings(read_forms(tmp_path, default_login=LOGIN, environ={}))
    told = {one.key: one.message for one in found}
    assert told["receivers.a"] == "is named by no form; only a page that asks for it reaches it"
    assert told["receivers.b"].startswith(
        "is named by no form, and no page may ask for it: it leads to another"
    )


def routed(folder: Path, *routes: str, more: str = "") -> dict[str, str]:
    listed = ", ".join(f"{{ {route} }}" for route in routes)
    found = warnings(folder, f"{FORM}routes = [{listed}]\n{more}{RECEIVERS}")
    return {
        key.removeprefix("forms.sell."): message for key, message in found.items() if "receivers" not in key
    }


def test_postcodes_in_two_routes_are_named_with_who_wins(tmp_path: Path) -> None:
    found = routed(tmp_path, 'zip = ["1-5"], receiver = "a"', 'zip = ["555-7", "8-984"], receiver = "b"')
    assert found == {
        "routes[2]": "shares postcodes 555-599 with route 1; they go to a, not to b, because the first match wins"
    }


def test_two_routes_to_the_same_receiver_may_overlap(tmp_path: Path) -> None:
    assert routed(tmp_path, 'zip = ["1-5"], receiver = "a"', 'zip = ["3-984"], receiver = "a"') == {}


def test_a_route_that_asks_for_more_may_stand_before_a_wider_one(tmp_path: Path) -> None:
    found = routed(
        tmp_path,
        'zip = ["1-984"], when = { propertyType = "villa" }, receiver = "a"',
        'zip = ["1-984"], receiver = "b"',
    )
    assert found == {}


def test_a_route_behind_wider_ones_can_never_match(tmp_path: Path) -> None:
    found = routed(
        tmp_path,
        'zip = ["1-2"], receiver = "a"',
        'zip = ["3-984"], receiver = "a"',
        'zip = ["25-35"], when = { propertyType = "villa" }, receiver = "b"',
        'when = { propertyType = "radhus" }, receiver = "b"',
        'zip = ["4"], when = { propertyType = "radhus" }, receiver = "b"',
    )
    assert found == {
        "routes[3]": (
            "can never match: all it asks for is taken by route 1 and 2 before it; take it out or move it up"
        ),
        "routes[5]": (
            "can never match: all it asks for is taken by route 2 and 4 before it; take it out or move it up"
        ),
    }


def test_postcodes_that_no_route_covers_are_named_with_who_gets_them(tmp_path: Path) -> None:
    found = routed(tmp_path, 'zip = ["111-118"], receiver = "a"', 'zip = ["169 55"], receiver = "b"')
    assert found == {
        "routes": (
            "no route by postcode alone covers 100-110, 119 00-169 54, 169 56-984 99; "
            "such leads go to the form's own assigned_to_id"
        )
    }


def test_of_many_gaps_the_first_are_named(tmp_path: Path) -> None:
    zips = ", ".join(f'"{number}"' for number in range(20, 90, 10))
    found = routed(tmp_path, f'zip = [{zips}], receiver = "a"', more='receiver = "b"\n')
    assert found == {
        "routes": (
            "no route by postcode alone covers 100-199, 210-299, 310-399, 410-499, 510-599 and 3 more ranges; "
            "such leads go to b"
        )
    }
