"""Who may do what: each operation there is, asked of a real `pointsman serve` with tokens.

`ROLES_NEEDED` is the table of docs/operations.md. What is not in it must not be in the API.
"""

import json
import re

import httpx
import pytest

from sidecar.admin.roles import ROLES
from sidecar.admin.tokens import new_token
from sidecar.admin.tokens_write import add, revoke
from sidecar.settings import Address
from tests.e2e.system import System
from tests.redis_server import running_redis

OPEN = {"/metrics", "/healthz", "/readyz", "/api/v1/public/backends"}
ROLES_NEEDED = [
    # method, path, role; the first that matches counts
    ("GET", "/api/v1/.*", "viewer"),
    ("POST", "/api/v1/(explain|whatif|config/validate)", "viewer"),
    (".*", "/api/v1/(keys|guards)/.*", "admin"),
    ("PUT", "/api/v1/config", "admin"),
    ("POST", "/api/v1/(feedback|config/rollback)", "operator"),
    ("PUT|DELETE", "/api/v1/[a-z]+/[^/]+", "operator"),
    ("POST", "/api/v1/[a-z]+/[^/]+/(enable|disable)", "operator"),
    (
        "POST",
        "/api/v1/experiments/[^/]+/(promote|hold|resume|rollback|start|pause|stop)",
        "operator",
    ),
]


class Node:
    """A sidecar without Envoy, and a caller of each role."""

    def __init__(self, folder, store):
        self.file = folder / "tokens.json"
        self.secrets = {role: self.new(role, role) for role in ROLES}
        self.system = System(folder, redis_address=store, workers=1, tokens_file=self.file)
        self.http = httpx.Client(base_url=f"http://{self.system.settings.admin}", timeout=30)

    def start(self):
        self.system.write(
            {
                "backends": {"a": {"endpoints": ["http://127.0.0.1:1"], "credential": "env:KEY"}},
                "routes": {"all": {"router": "a"}},
            }
        )
        self.system.local.start_sidecar()
        self.system.until(lambda: self.http.get("/readyz").status_code == 200, "rules")
        return self

    def stop(self):
        self.http.close()
        self.system.stop()

    def new(self, name, role):
        secret, token = new_token(name, role)
        add(self.file, token)
        return secret

    def status(self, method, path, who="", content=b"{}", **headers):
        """Return the status alone: an answer may never end."""
        secret = self.secrets.get(who, who)
        named = {"authorization": f"Bearer {secret}"} if secret else {}
        headers = {"content-type": "application/json", **named, **headers}
        with self.http.stream(method, path, headers=headers, content=content) as answer:
            return answer.status_code

    def log(self):
        return self.system.local.children["sidecar"].log.read_text()

    def audit(self):
        lines = [line for line in self.log().splitlines() if '"event": "audit"' in line]
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with running_redis() as server:
        made = Node(tmp_path_factory.mktemp("node"), Address("127.0.0.1", server.port))
        try:
            yield made.start()
        finally:
            made.stop()


def operations(node):
    """Yield method, path and description of each operation, with names filled in."""
    for template, item in node.http.get("/openapi.json").json()["paths"].items():
        for method, described in item.items():
            yield method.upper(), re.sub(r"\{[^}]*\}", "1", template), described


def needed(method, path):
    """Return the role that the table has, or `` for what is open to all."""
    if path in OPEN:
        return ""
    for methods, paths, role in ROLES_NEEDED:
        if re.fullmatch(methods, method) and re.fullmatch(paths, path):
            return role
    raise AssertionError(f"{method} {path} has no role in the table")


def test_every_operation_is_for_the_roles_of_the_table_and_for_nobody_else(node):
    found, table = {}, {}
    for method, path, _ in operations(node):
        role = needed(method, path)
        for who in ("", *ROLES):
            status = node.status(method, path, who)
            refused = {401, 429} if not who else {403}
            found[method, path, who] = status not in refused
            may = not role or (who and ROLES.index(who) >= ROLES.index(role))
            table[method, path, who] = bool(may)

    assert found == table
    assert {("GET", "/api/v1/me", "viewer"), ("POST", "/api/v1/explain", "viewer")} <= found.keys()


def test_every_operation_says_in_the_document_that_it_needs_a_token(node):
    for method, path, described in operations(node):
        assert described.get("security", []) == ([{"token": []}] if needed(method, path) else [])


def test_what_is_forced_is_for_admins(node):
    for method, path, described in operations(node):
        if any(one["name"] == "force" for one in described.get("parameters", [])):
            assert node.status(method, f"{path}?force=true", "operator") == 403
            assert node.status(method, f"{path}?force=true", "admin") not in {401, 403}


def test_the_console_and_the_document_need_no_token(node):
    for path in ("/openapi.json", "/docs"):
        assert node.status("GET", path, content=None) == 200


def test_public_backends_have_no_endpoints_and_no_credentials(node):
    answer = node.http.get("/api/v1/public/backends")

    (backend,) = answer.json()["backends"]
    assert (backend["name"], backend["enabled"], backend["healthy"]) == ("a", True, None)
    assert not {"endpoints", "credential", "credential_header", "defaults"} & backend.keys()
    assert "127.0.0.1" not in answer.text
    assert "KEY" not in answer.text


def test_tokens_are_made_and_revoked_while_it_runs(node):
    node.secrets["eve"] = node.new("eve", "viewer")
    assert node.status("GET", "/api/v1/me", "eve") == 200
    assert node.http.get("/readyz").json()["access"] == {"by": "tokens", "tokens": 4, "fault": None}

    revoke(node.file, "eve")

    assert node.status("GET", "/api/v1/me", "eve") in {401, 429}
    assert node.status("GET", "/api/v1/me", "viewer") == 200


def test_a_file_that_somebody_breaks_locks_nobody_out_and_is_told(node):
    good = node.file.read_bytes()
    node.file.write_text('{"tokens": [{"name": "ann", "role": "boss"}]}')
    try:
        assert node.status("GET", "/api/v1/me", "viewer") == 200
        assert node.http.get("/readyz").json()["access"]["fault"].startswith("tokens[0]")
        assert '"event": "tokens_rejected"' in node.log()
    finally:
        node.file.write_bytes(good)
    assert node.http.get("/readyz").json()["access"]["fault"] is None


def test_rebinding_and_pages_of_elsewhere_get_nowhere_without_a_token(node):
    for headers in ({"host": "rebound.example"}, {"origin": "http://elsewhere.example"}):
        assert node.status("POST", "/api/v1/feedback", **headers) in {401, 429}


def test_who_is_behind_a_proxy_is_not_believed(node):
    for address in range(30):
        node.status("GET", "/api/v1/me", "pm_wrong", **{"x-forwarded-for": f"192.0.2.{address}"})

    assert node.status("GET", "/api/v1/me", "", **{"x-forwarded-for": "192.0.2.200"}) == 429
    assert node.status("GET", "/api/v1/me", "admin") == 200
    assert {line["address"] for line in node.audit()} == {"127.0.0.1"}


def test_a_write_is_in_the_history_and_in_the_audit_log_under_the_name_of_the_token(node):
    path = "/api/v1/flags/audited"
    headers = {"authorization": f"Bearer {node.secrets['operator']}"}

    written = node.http.put(path, json={"description": "in a body"}, headers=headers)

    version = written.json()["version"]
    node.system.until(lambda: any(line["path"] == path for line in node.audit()), "its line")
    (line,) = [line for line in node.audit() if line["path"] == path]
    assert (line["who"], line["status"], line["version"]) == ("operator", 201, version)
    (entry,) = node.http.get("/api/v1/config/versions?count=1", headers=headers).json()["versions"]
    assert (entry["version"], entry["who"]) == (version, "operator")
    assert "in a body" not in node.log()


def test_refused_calls_are_in_the_audit_log_and_no_token_is(node):
    node.status("POST", "/api/v1/feedback", "viewer", content=b'{"secret": "in a body"}')

    node.system.until(lambda: node.audit()[-1]["path"] == "/api/v1/feedback", "its line")
    last = node.audit()[-1]
    assert (last["who"], last["role"], last["method"]) == ("viewer", "viewer", "POST")
    assert (last["status"], last["version"]) == (403, None)
    log = node.log()
    assert "in a body" not in log
    for secret in node.secrets.values():
        assert secret not in log
        assert secret.removeprefix("pm_")[:12] not in log
