"""deploy/: every file is read by a parser and held against the code, and by its own tool where that is installed."""

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from app import tally
from app.cli.commands import app
from app.environment import read_environment
from app.forms.reader import read_forms
from app.settings import NAMES
from app.store.standing import Standing
from app.web.exposition import Snapshot, expose
from tests.gateways import LOGIN
from tests.stores import NOW

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "leadgate.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "leadgate.json"
COMPOSES = ("compose.yaml", "compose.several.yaml")
UID = "10001"
"""The image's user."""


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def list_manifests() -> list[dict[str, Any]]:
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [one for file in files for one in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def call_tool(*command: str, folder: Path = DEPLOY, names: dict[str, str] | None = None) -> str:
    """The tool's own judgement; skipped, and said so, where it is not installed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed: a parser alone has read its file")
    done = subprocess.run(
        command, cwd=folder, env=names, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_command(words: list[str]) -> None:
    """That `leadgate` knows these words."""
    command: Any = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    command.make_parser(context := command.context_class(command)).parse_args(list(words))
    assert context is not None


def read_environment_of(names: dict[str, str], tmp_path: Path) -> None:
    """No name is unknown, and no value a mistake; files it names are made up."""
    made_up = {}
    for name, value in names.items():
        assert name.removesuffix("_FILE") in NAMES, name
        if name.endswith("_FILE"):
            file = tmp_path / name
            postgresql = "postgresql://leadgate:x@database/leadgate"
            file.write_text(postgresql if "DATABASE" in name else "x" * 40, encoding="utf-8")
            file.chmod(0o600)
            made_up[name] = str(file)
        else:
            made_up[name] = re.sub(r"\$\{[^}]*\}", "forms.example.se", value)
    found = read_environment(made_up, dotenv=tmp_path / "none")
    assert found.mistakes == []
    assert found.warnings == []


class Unit(configparser.RawConfigParser):
    def __init__(self, path: Path) -> None:
        super().__init__(strict=False)
        self.optionxform = str  # type: ignore[assignment, method-assign]
        text = path.read_text(encoding="utf-8")
        self.settings = [
            tuple(line.split("=", 1))
            for line in text.splitlines()
            if "=" in line and not line.startswith("#")
        ]
        self.read_string(text)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.settings if key == name]


def test_the_unit_starts_commands_that_there_are(tmp_path: Path) -> None:
    unit = Unit(DEPLOY / "systemd" / "leadgate.service")
    for name in ("ExecStartPre", "ExecStart"):
        [line] = unit.all(name)
        program, *words = shlex.split(line)
        assert Path(program).name == "leadgate"
        check_command(words)
    names = dict(value.split("=", 1) for value in unit.all("Environment"))
    shown = (DEPLOY / "systemd" / "leadgate.env").read_text(encoding="utf-8").splitlines()
    names |= dict(line.split("=", 1) for line in shown if line and not line.startswith("#"))
    read_environment_of(names, tmp_path)
    socket = Unit(DEPLOY / "systemd" / "leadgate.socket")
    assert socket.get("Socket", "ListenStream") == "127.0.0.1:8000"
    assert int(unit.get("Service", "TimeoutStopSec")) > 10  # it drains within ten seconds


def test_systemd_finds_the_unit_well_confined(tmp_path: Path) -> None:
    for name in ("leadgate.service", "leadgate.socket"):
        text = (DEPLOY / "systemd" / name).read_text(encoding="utf-8")
        # Where it will be installed nothing is installed here.
        (tmp_path / name).write_text(
            text.replace("/opt/leadgate/bin/leadgate", "/bin/true"), encoding="utf-8"
        )
    told = call_tool("systemd-analyze", "security", "--offline=true", "./leadgate.service", folder=tmp_path)
    exposure = re.search(r"exposure level for leadgate.service: ([0-9.]+)", told)
    assert exposure
    assert float(exposure[1]) < 2


@pytest.mark.parametrize("name", COMPOSES)
def test_compose_files_are_whole(name: str, tmp_path: Path) -> None:
    file = read_yaml(DEPLOY / name)
    services = file["services"]
    for service in services.values():
        assert set(service.get("secrets", ())) <= set(file["secrets"])
        assert set(service["networks"]) <= set(file["networks"])
        assert set(service.get("depends_on", ())) <= set(services)
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source.startswith("./") or source in file["volumes"]
    ours = {name: one for name, one in services.items() if one.get("image") == "leadgate"}
    assert ours
    (subnet,) = (one["subnet"] for one in file["networks"]["inside"]["ipam"]["config"])
    for service in ours.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["environment"]["LEADGATE_TRUSTED_PROXIES"] == subnet
        assert "ports" not in service  # Caddy alone is reached from outside
        check_command(service.get("command", ["serve"]))
        read_environment_of(service["environment"], tmp_path)
    upstream = services["caddy"]["environment"]["LEADGATE_UPSTREAM"].split()
    assert {address.split(":")[0] for address in upstream} <= set(ours)
    assert (DEPLOY / "Caddyfile").exists()


def run_as_told(commands: str, folder: Path) -> dict[str, int]:
    """The modes of the files that these commands make, by a shell that lets everybody read what it makes."""
    stands_in = "umask 022; chown() { :; }; litestream() { touch copy.db; }; sqlite3() { touch copy.db; }\n"
    (folder / "deploy").mkdir()
    names = {"PATH": os.environ["PATH"], "PASSWORD": "secret"}
    subprocess.run(["bash", "-ec", stands_in + commands], cwd=folder, env=names, check=True, timeout=60)
    return {one.name: one.stat().st_mode & 0o777 for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize("name", COMPOSES)
def test_no_secret_is_open_to_others_while_it_is_made(name: str, tmp_path: Path) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    told = re.search(r"^#   (\(umask.*?\))$", text, re.MULTILINE | re.DOTALL)
    commands = re.sub(r"^# {0,4}", "", (told or [text, ""])[1], flags=re.MULTILINE)
    modes = run_as_told(commands, tmp_path)
    files = {Path(one["file"]).name for one in read_yaml(DEPLOY / name)["secrets"].values()}
    assert modes == dict.fromkeys(files, 0o600)


@pytest.mark.parametrize("page", ["docs/operate.md", "docs/reliability.md", "deploy/litestream.yml"])
def test_a_copy_of_the_store_is_its_owners_alone(page: str, tmp_path: Path) -> None:
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    copies = [
        one.strip("# `") for one in lines if re.search(r"sqlite3 .*VACUUM INTO|litestream restore", one)
    ]
    assert set(run_as_told("\n".join(copies), tmp_path).values()) == {0o600}


def test_one_process_serves_sqlite_and_several_share_postgresql() -> None:
    small, several = (read_yaml(DEPLOY / name)["services"] for name in COMPOSES)
    assert [name for name, one in small.items() if one["image"] == "leadgate"] == ["leadgate"]
    commands = [one["command"][0] for one in several.values() if one["image"] == "leadgate"]
    assert commands == ["serve", "serve", "deliver", "deliver"]


def test_caddy_is_told_to_bridge_a_restart() -> None:
    text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    assert text.count("{") == text.count("}")
    assert re.search(r"^\t\tlb_try_duration 30s$", text, re.MULTILINE)
    assert "@inside path /metrics /readyz" in text


def test_caddy_can_read_it() -> None:
    for upstream in ("127.0.0.1:8000", "web-1:8000 web-2:8000"):
        names = {"LEADGATE_UPSTREAM": upstream, "LEADGATE_SITE": "http://localhost:1", "HOME": "/tmp"} | {
            "PATH": os.environ["PATH"]
        }
        told = call_tool("caddy", "adapt", "--config", "Caddyfile", "--adapter", "caddyfile", names=names)
        assert told.count('"dial":') == len(upstream.split())


def test_manifests_name_each_other_rightly(tmp_path: Path) -> None:
    manifests = list_manifests()
    names = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    assert {kind for kind, _ in names} == {
        "ConfigMap", "Deployment", "Ingress", "PodDisruptionBudget", "Secret", "Service",
    }  # fmt: skip
    deployments = [one for one in manifests if one["kind"] == "Deployment"]
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in deployments]
    for one in deployments:
        spec = one["spec"]["template"]["spec"]
        assert one["spec"]["selector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]
        assert str(spec["securityContext"]["runAsUser"]) == UID
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert ("ConfigMap", volumes["forms"]["configMap"]["name"]) in names
        assert ("Secret", volumes["secrets"]["secret"]["secretName"]) in names
        migrate, container = spec["initContainers"][0], spec["containers"][0]
        assert migrate["args"] == ["db", "upgrade"]
        for running in (migrate, container):
            check_command(running["args"])
            assert {mount["name"] for mount in running["volumeMounts"]} == set(volumes)
            assert running["securityContext"]["readOnlyRootFilesystem"]
            assert running["envFrom"] == [{"configMapRef": {"name": "leadgate"}}]
            assert running["image"] == container["image"]
        assert spec["terminationGracePeriodSeconds"] > 10
    for one in manifests:
        if one["kind"] in {"Service", "PodDisruptionBudget"}:
            selector = one["spec"]["selector"]
            assert selector.get("matchLabels", selector) in labels


def test_manifests_hold_settings_and_forms_that_can_be_read(tmp_path: Path) -> None:
    maps = {one["metadata"]["name"]: one["data"] for one in list_manifests() if one["kind"] == "ConfigMap"}
    [secret] = [one for one in list_manifests() if one["kind"] == "Secret"]
    settings = dict(maps["leadgate"])
    files = {value for name, value in settings.items() if name.endswith("_FILE")}
    assert {Path(file).name for file in files} == set(secret["stringData"])
    read_environment_of(settings, tmp_path)
    folder = tmp_path / "forms"
    folder.mkdir()
    for name, text in maps["leadgate-forms"].items():
        (folder / name).write_text(text, encoding="utf-8")
    assert list(read_forms(folder, default_login=LOGIN, environ={}).forms) == ["kontakt"]


def test_kubectl_can_read_them(tmp_path: Path) -> None:
    names = []
    for file in (DEPLOY / "kubernetes").glob("*.yaml"):
        shutil.copy(file, tmp_path)
        names.append(file.name)
    (tmp_path / "kustomization.yaml").write_text(json.dumps({"resources": names}), encoding="utf-8")
    built = call_tool("kubectl", "kustomize", ".", folder=tmp_path)
    assert len(list(yaml.safe_load_all(built))) == len(list_manifests())


def list_metrics() -> set[str]:
    """Every name that a scrape can hold."""

    standing = Standing(leads={}, oldest={}, unresolved=0, gates=[], circuits=[])
    snapshot = Snapshot(standing=standing, forms=["f"], database="sqlite", free_bytes=1, now=NOW)
    names = set(re.findall(r"^# TYPE (\S+) (?!histogram)", expose(snapshot).decode(), re.MULTILINE))
    histograms = {f"leadgate_{spread.name}" for spread in tally.SPREADS}
    return names | {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}


def list_expressions() -> Iterator[str]:
    for group in read_yaml(RULES)["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_alerts_and_dashboard_ask_for_metrics_that_there_are() -> None:
    asked = {name for one in list_expressions() for name in re.findall(r"\b(?:leadgate|process)_\w+", one)}
    assert len(asked) > 15
    assert asked <= list_metrics()
    refused = {reason for one in list_expressions() for reason in re.findall(r'reason="([\w-]+)"', one)}
    assert {(reason,) for reason in refused} <= set(tally.REFUSED.values)


def test_every_alert_says_what_to_do() -> None:
    [group] = read_yaml(RULES)["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"page", "warn", "info"}
        assert rule["annotations"]["summary"]
        assert (ROOT / rule["annotations"]["runbook"]).exists(), rule["alert"]
        told = (ROOT / rule["annotations"]["runbook"]).read_text(encoding="utf-8")
        assert rule["alert"] in told or rule["annotations"]["runbook"] != "docs/troubleshooting.md"


@pytest.mark.parametrize(
    ("alert", "metric"),
    [("LeadgateDown", 'up{job="leadgate"}'), ("LeadgateAuditStopped", "leadgate_audited_timestamp_seconds")],
)
def test_who_is_missed_is_missed_from_the_first(alert: str, metric: str) -> None:
    """A comparison with nothing is nothing, and no alarm."""
    [group] = read_yaml(RULES)["groups"]
    (expression,) = (rule["expr"] for rule in group["rules"] if rule["alert"] == alert)
    assert expression.endswith(f" or absent({metric})")


def test_promtool_finds_the_rules_sound_and_their_alarms_right() -> None:
    folder = DEPLOY / "prometheus"
    call_tool("promtool", "check", "rules", "leadgate.rules.yml", folder=folder)
    call_tool("promtool", "check", "config", "prometheus.yml", folder=folder)
    call_tool("promtool", "test", "rules", "leadgate.test.yml", folder=folder)


def test_panels_lie_beside_each_other() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    places: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & places
        places |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_litestream_copies_the_file_that_the_unit_keeps() -> None:
    [database] = read_yaml(DEPLOY / "litestream.yml")["dbs"]
    unit = (DEPLOY / "systemd" / "leadgate.service").read_text(encoding="utf-8")
    assert f"LEADGATE_DATABASE_URL=sqlite:///{database['path']}" in unit
    assert database["replica"]["type"] == "s3"
