"""The environment: names, files, .env, and every mistake at once without a value."""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from app.environment import Environment, read_environment, read_settings
from app.errors import ConfigurationError
from app.settings import NAMES

SECRET = "hunter2-very-secret"

GOOD = {
    "LEADGATE_FORMS": "agencies",
    "LEADGATE_DATABASE_URL": "sqlite:////var/lib/leadgate/leadgate.db",
    "LEADGATE_VITEC_BASE_URL": "https://vitec.example/connect/",
    "LEADGATE_VITEC_USERNAME": "partner",
    "LEADGATE_VITEC_PASSWORD": SECRET,
    "LEADGATE_VITEC_FORMAT": "xml",
    "LEADGATE_VITEC_TIMEOUT": "45",
    "LEADGATE_VITEC_CONCURRENCY": "2",
    "LEADGATE_VITEC_RATE": "0.5",
    "LEADGATE_RETRY_SCHEDULE": "500ms, 1m,2h",
    "LEADGATE_RECONCILE_SETTLE": "20m",
    "LEADGATE_SMTP_URL": f"smtps://leads%40byran.example:{SECRET}@mail.byran.example",
    "LEADGATE_ALERT_EMAIL": "drift@byran.example",
    "LEADGATE_ALERT_WEBHOOK": "https://hooks.example.se/alerts?key=1",
    "LEADGATE_HEARTBEAT_URL": "http://127.0.0.1:9000/ping",
    "LEADGATE_PUBLIC_URL": "https://forms.example.se/",
    "LEADGATE_SECRET_KEY": SECRET * 2,
    "LEADGATE_ADMIN_PASSWORD_HASH": "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$lA7l0SB6xEKgWTbVCJsWXw",
    "LEADGATE_USERS": "/etc/leadgate/users.toml",
    "LEADGATE_METRICS_TOKEN": "scrape",
    "LEADGATE_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8",
    "LEADGATE_RATE_LIMIT": "60/minute,500/hour",
    "LEADGATE_LOG_FORMAT": "console",
    "LEADGATE_ENCRYPTION_KEYS": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
}


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A .env that does not exist."""
    return tmp_path / ".env"


def read(names: dict[str, str], nowhere: Path) -> Environment:
    return read_environment(names, dotenv=nowhere)


def tell(environment: Environment) -> list[str]:
    return [str(mistake) for mistake in environment.mistakes]


def test_every_name_is_read(nowhere: Path) -> None:
    assert set(GOOD) == set(NAMES)
    environment = read(GOOD, nowhere)
    assert not environment.mistakes
    assert not environment.warnings
    settings = environment.settings
    assert settings.forms == Path("agencies")
    assert settings.database == Path("/var/lib/leadgate/leadgate.db")
    assert settings.vitec_base_url == "https://vitec.example/connect"
    assert settings.vitec_password is not None
    assert settings.vitec_password.get_secret_value() == SECRET
    assert settings.vitec_timeout == timedelta(seconds=45)
    assert settings.vitec_rate == 0.5
    assert settings.retry_schedule == (
        timedelta(milliseconds=500),
        timedelta(minutes=1),
        timedelta(hours=2),
    )
    assert settings.public_url == "https://forms.example.se"
    assert settings.trusted_proxies == (ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8"))


@pytest.mark.parametrize("name", sorted(GOOD))
def test_every_name_may_stand_in_a_file(tmp_path: Path, nowhere: Path, name: str) -> None:
    file = tmp_path / "value"
    file.write_text(GOOD[name] + "\n", encoding="utf-8")
    file.chmod(0o640)
    others = {other: value for other, value in GOOD.items() if other != name}
    environment = read({**others, f"{name}_FILE": str(file)}, nowhere)
    assert not environment.mistakes
    same = read(GOOD, nowhere).settings
    assert environment.settings.model_dump(exclude={"files"}) == same.model_dump(exclude={"files"})
    assert environment.settings.files == {NAMES[name]: file}


def test_nothing_set_is_the_defaults(nowhere: Path) -> None:
    assert read({"LEADGATE_VITEC_TIMEOUT": "", "PATH": "/bin"}, nowhere) == Environment()


def test_the_environment_goes_before_the_env_file(tmp_path: Path, nowhere: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from the file", encoding="utf-8")
    nowhere.write_text(
        "# ours\nexport LEADGATE_VITEC_TIMEOUT=10s\nLEADGATE_VITEC_RATE='3'\n"
        f'LEADGATE_VITEC_USERNAME="pa${{HOME}}rtner"\nLEADGATE_VITEC_PASSWORD_FILE={file}\n',
        encoding="utf-8-sig",
    )
    environment = read({"LEADGATE_VITEC_RATE": "4", "LEADGATE_VITEC_PASSWORD": SECRET}, nowhere)
    assert not environment.mistakes
    settings = environment.settings
    assert settings.vitec_timeout == timedelta(seconds=10)
    assert settings.vitec_rate == 4
    assert settings.vitec_username == "pa${HOME}rtner"
    assert settings.vitec_password is not None
    assert settings.vitec_password.get_secret_value() == SECRET
    assert not settings.files


def test_a_line_of_the_env_file_that_says_nothing_is_a_mistake(nowhere: Path) -> None:
    nowhere.write_text(f"LEADGATE_VITEC_RATE=3\n{SECRET} is it\n", encoding="utf-8")
    assert tell(read({}, nowhere)) == [f"{nowhere}: line 2: is not NAME=value"]


def test_an_env_file_that_cannot_be_read_is_a_mistake(nowhere: Path) -> None:
    nowhere.write_bytes(b"LEADGATE_FORMS=\xff")
    assert tell(read({}, nowhere)) == [f"{nowhere}: cannot be read: it is no UTF-8 text"]
    nowhere.unlink()
    nowhere.mkdir()
    assert tell(read({}, nowhere)) == [f"{nowhere}: cannot be read: Is a directory"]


def test_all_mistakes_are_told_at_once_and_no_value(tmp_path: Path, nowhere: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n", encoding="utf-8")
    environment = read(
        {
            "LEADGATE_FORMS": "elsewhere.toml",
            "LEADGATE_FORMS_FILE": "forms-path",
            "LEADGATE_DATABASE_URL": "mysql://root:hunter2-very-secret@db",
            "LEADGATE_VITEC_BASE_URL": f"https://me:{SECRET}@vitec.example",
            "LEADGATE_VITEC_PASSWORD_FILE": SECRET,
            "LEADGATE_VITEC_FORMAT": "yaml",
            "LEADGATE_VITEC_TIMEOUT": "soon",
            "LEADGATE_VITEC_CONCURRENCY": "0",
            "LEADGATE_VITEC_RATE": "fast",
            "LEADGATE_RETRY_SCHEDULE": "5s,never,0s",
            "LEADGATE_RECONCILE_SETTLE": "0",
            "LEADGATE_PUBLIC_URL": "forms.example.se",
            "LEADGATE_SECRET_KEY_FILE": str(empty),
            "LEADGATE_TRUSTED_PROXIES": "proxy, 10.0.0.1, 1.2.3.4/33",
            "LEADGATE_RATE_LIMIT": "60 a minute",
            "LEADGATE_LOG_FORMAT": "xml",
        },
        nowhere,
    )
    told = tell(environment)
    assert {line.partition(":")[0] for line in told} == {
        "LEADGATE_FORMS",
        "LEADGATE_DATABASE_URL",
        "LEADGATE_VITEC_BASE_URL",
        "LEADGATE_VITEC_USERNAME",
        "LEADGATE_VITEC_PASSWORD_FILE",
        "LEADGATE_VITEC_FORMAT",
        "LEADGATE_VITEC_TIMEOUT",
        "LEADGATE_VITEC_CONCURRENCY",
        "LEADGATE_VITEC_RATE",
        "LEADGATE_RETRY_SCHEDULE",
        "LEADGATE_RECONCILE_SETTLE",
        "LEADGATE_PUBLIC_URL",
        "LEADGATE_SECRET_KEY_FILE",
        "LEADGATE_TRUSTED_PROXIES",
        "LEADGATE_RATE_LIMIT",
        "LEADGATE_LOG_FORMAT",
    }
    assert SECRET not in "\n".join(told)
    assert "LEADGATE_RETRY_SCHEDULE: part 2: is no duration; write 30s, 15m, 8h or 30d" in told
    for part in (1, 3):
        wrong = (
            f"LEADGATE_TRUSTED_PROXIES: part {part}: is no network; write one such as 127.0.0.1 or 10.0.0.0/8"
        )
        assert wrong in told
    assert "LEADGATE_VITEC_USERNAME: is missing; the other half of the login is set" in told
    assert "LEADGATE_VITEC_PASSWORD_FILE: names a file that cannot be read: No such file or directory" in told
    assert environment.settings.vitec_rate == 10  # what is wrong stands at its default


@pytest.mark.parametrize("half", ["LEADGATE_VITEC_USERNAME", "LEADGATE_VITEC_PASSWORD"])
def test_half_a_login_is_a_mistake(nowhere: Path, half: str) -> None:
    [mistake] = read({half: "x"}, nowhere).mistakes
    assert mistake.source in {"LEADGATE_VITEC_USERNAME", "LEADGATE_VITEC_PASSWORD"} - {half}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("30s", 30), (" 15m ", 900), ("8h", 28800), ("1.5s", 1.5), ("2d", 172800)],
)
def test_durations(nowhere: Path, text: str, seconds: float) -> None:
    environment = read({"LEADGATE_VITEC_TIMEOUT": text}, nowhere)
    assert not environment.mistakes
    assert environment.settings.vitec_timeout == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["-1s", "0", "0s", "1w", "s", "1 2", "999999999d", "1e3", "nan"])
def test_what_is_no_duration(nowhere: Path, text: str) -> None:
    [mistake] = read({"LEADGATE_VITEC_TIMEOUT": text}, nowhere).mistakes
    assert mistake.source == "LEADGATE_VITEC_TIMEOUT"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8001", "http://localhost/x", "http://[::1]:8001", "https://vitec.example:444"]
)
def test_addresses_of_vitec(nowhere: Path, url: str) -> None:
    environment = read({"LEADGATE_VITEC_BASE_URL": url}, nowhere)
    assert not environment.mistakes
    assert environment.settings.vitec_base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://vitec.example",
        "http://localhost.example",
        "ftp://vitec.example",
        "vitec.example",
        "https://",
        "https://[::1",
        "https://vitec.example:port",
        "https://vitec.example?x=1",
        "https://vitec.example/ x",
    ],
)
def test_what_is_no_address_of_vitec(nowhere: Path, url: str) -> None:
    [mistake] = read({"LEADGATE_VITEC_BASE_URL": url}, nowhere).mistakes
    assert mistake.message.startswith("must ")


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite://", "sqlite:///data/", "mysql://db/leadgate"])
def test_only_two_databases_are_served(nowhere: Path, url: str) -> None:
    [mistake] = read({"LEADGATE_DATABASE_URL": url}, nowhere).mistakes
    assert mistake.message == (
        "must be sqlite:///path/to/leadgate.db or postgresql://user:password@host/database"
    )


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_postgresql_needs_a_secret_that_all_machines_share(nowhere: Path, scheme: str) -> None:
    names = {"LEADGATE_DATABASE_URL": f"{scheme}://leadgate:{SECRET}@db:5432/leadgate"}
    [mistake] = read(names, nowhere).mistakes
    assert str(mistake).startswith("LEADGATE_SECRET_KEY: is required with PostgreSQL")
    environment = read(names | {"LEADGATE_SECRET_KEY": "k" * 32}, nowhere)
    assert not environment.mistakes
    assert environment.settings.database == names["LEADGATE_DATABASE_URL"]
    assert SECRET not in repr(environment.settings)


@pytest.mark.parametrize(
    "url", ["postgresql://", "postgresql://db", "postgresql://db:port/x", "postgresql://db:0/x"]
)
def test_an_address_of_postgresql_names_a_database(nowhere: Path, url: str) -> None:
    names = {"LEADGATE_DATABASE_URL": url, "LEADGATE_SECRET_KEY": "k" * 32}
    [mistake] = read(names, nowhere).mistakes
    assert mistake.message.startswith("must name a database")


def test_a_secret_that_can_be_guessed_is_a_warning(nowhere: Path) -> None:
    [warning] = read({"LEADGATE_SECRET_KEY": "k" * 31}, nowhere).warnings
    assert str(warning).startswith("LEADGATE_SECRET_KEY: is shorter than 32 characters")
    assert not read({"LEADGATE_SECRET_KEY": "k" * 32}, nowhere).warnings


def test_a_name_with_a_slip_of_the_pen_is_a_warning(nowhere: Path) -> None:
    environment = read({"LEADGATE_VITEC_USER": "x", "LEADGATE_VITEC_TIMEOUTS_FILE": "y"}, nowhere)
    assert [str(one) for one in environment.warnings] == [
        "LEADGATE_VITEC_TIMEOUTS_FILE: is no setting. Did you mean LEADGATE_VITEC_TIMEOUT?",
        "LEADGATE_VITEC_USER: is no setting. Did you mean LEADGATE_VITEC_USERNAME?",
    ]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"SMTP_URL": f"mail://{SECRET}"}, "SMTP_URL: must be smtp://user:password@host:587"),
        ({"SMTP_URL": f"smtp://host?to={SECRET}"}, "SMTP_URL: must be smtp://user:password@host:587"),
        ({"SMTP_URL": f"smtp://host/{SECRET}"}, "SMTP_URL: must be smtp://user:password@host:587"),
        ({"SMTP_URL": f"smtp://{SECRET}@host"}, "SMTP_URL: has half a login"),
        ({"SMTP_URL": f"smtp://host?from={SECRET}"}, "SMTP_URL: must be an e-mail address"),
        ({"SMTP_URL": f"smtp://partner:{SECRET}@host"}, "SMTP_URL: names no sender; add ?from="),
        ({"SMTP_URL": f"smtp://host:{SECRET}"}, "SMTP_URL: must be smtp://user:password@host:587"),
        (
            {"SMTP_URL": f"smtp://host?from=å{SECRET}@b.se"},
            "SMTP_URL: must have nothing but ASCII before the @",
        ),
        ({"ALERT_EMAIL": f"å{SECRET}@b.se"}, "ALERT_EMAIL: must have nothing but ASCII before the @"),
        ({"ALERT_EMAIL": SECRET}, "ALERT_EMAIL: must be an e-mail address"),
        ({"ALERT_EMAIL": f"mailto:{SECRET}@b.se"}, "ALERT_EMAIL: must be an e-mail address"),
        ({"ALERT_EMAIL": f"a({SECRET})@b.se"}, "ALERT_EMAIL: must be an e-mail address"),
        ({"ALERT_EMAIL": f"{SECRET}@straße.de"}, "ALERT_EMAIL: must have its domain in ASCII"),
        ({"ALERT_EMAIL": f"a@b.se\nBcc: {SECRET}@c.se"}, "ALERT_EMAIL: must be an e-mail address"),
        ({"ALERT_WEBHOOK": f"http://hooks.example.se/{SECRET}"}, "ALERT_WEBHOOK: must begin with https://"),
        ({"ALERT_WEBHOOK": SECRET}, "ALERT_WEBHOOK: must be an address such as"),
        ({"HEARTBEAT_URL": f"ftp://{SECRET}"}, "HEARTBEAT_URL: must be an address such as"),
    ],
)
def test_ways_to_tell_people_that_cannot_be_used(nowhere: Path, names: dict[str, str], told: str) -> None:
    [mistake] = tell(read({f"LEADGATE_{name}": value for name, value in names.items()}, nowhere))
    assert mistake.startswith(f"LEADGATE_{told}")
    assert SECRET not in mistake


def test_a_mail_server_is_read_whole(nowhere: Path) -> None:
    server = read(GOOD, nowhere).settings.mail_server
    assert server is not None
    assert (server.host, server.port, server.tls) == ("mail.byran.example", 465, True)
    assert (server.username, server.password) == ("leads@byran.example", SECRET)
    assert server.sender is not None
    assert server.sender.addr_spec == "leads@byran.example"
    named = read({"LEADGATE_SMTP_URL": "smtp://localhost?from=Leads <a@b.se>"}, nowhere).settings.mail_server
    assert named is not None
    assert (named.port, named.tls, named.is_local, str(named.sender)) == (587, False, True, "Leads <a@b.se>")


def test_mail_that_says_less_than_it_could_is_a_warning(nowhere: Path) -> None:
    assert [one.source for one in read({"LEADGATE_ALERT_EMAIL": "a@b.se"}, nowhere).warnings] == [
        "LEADGATE_ALERT_EMAIL"
    ]
    assert [one.source for one in read({"LEADGATE_SMTP_URL": "smtp://h?from=a@b.se"}, nowhere).warnings] == [
        "LEADGATE_PUBLIC_URL"
    ]


def test_a_settle_time_below_the_timeout_is_a_warning(nowhere: Path) -> None:
    environment = read({"LEADGATE_RECONCILE_SETTLE": "10s"}, nowhere)
    assert [one.source for one in environment.warnings] == ["LEADGATE_RECONCILE_SETTLE"]


def test_mistakes_refuse_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("LEADGATE_VITEC_FORMAT=xml", encoding="utf-8")
    assert read_settings().vitec_format == "xml"
    monkeypatch.setenv("LEADGATE_VITEC_FORMAT", "yaml")
    with pytest.raises(ConfigurationError, match="LEADGATE_VITEC_FORMAT: should be 'json' or 'xml'"):
        read_settings()
