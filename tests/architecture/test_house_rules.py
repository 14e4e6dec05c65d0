"""House rules that a program can check. Each test says what it is for; each was seen failing once."""

import ast
import re
import tomllib

from tree import PACKAGES, ROOT, files, modules

LINES_MAX = 400
# The transport for strangers; our client for merchants; etcd in our own network; and the outside world itself.
NETWORK = ("openplatform/transport.py", "openplatform/client", "idgen/leases/etcd_gateway.py", "sandbox")
CLIENTS = {"httpx", "aiohttp", "urllib3", "pycurl"}
VERBS = {
    "get",
    "post",
    "put",
    "patch",
    "delete",
    "head",
    "options",
    "request",
    "Session",
    "session",
    "sessions",
    "adapters",
}
DOORS = (
    "payments/api",
    "payments/cashier",
    "payments/tasks.py",
    "openplatform/api",
    "openplatform/tasks.py",
    "config/tasks.py",
)
ALL_DOORS = (*DOORS, "payments/console", "payments/admin.py", "openplatform/console", "openplatform/admin.py")
WRITES = {"create", "bulk_create", "get_or_create", "update_or_create", "bulk_update", "update", "delete", "save"}
# Durations in seconds are the only floats that money may stand beside.
MAY_COUNT_SECONDS = {
    "payments/api/prefer.py",
    "payments/waiting.py",
    "payments/operations/schedules.py",
    "payments/cashier/once.py",
}
READERS = {"text", "flag", "number", "seconds", "listed"}
NOT_FOR_OPERATORS = {"FENPAY_FAULT"}  # a test's own
# In halves, so that this file does not name what it looks for.
PLACES = ["/wo" + "rk/", "/fa" + "rm", "/ro" + "ot/", "/tm" + r"p/\w"]
REGISTRIES = [
    "py" + "pi",
    "python" + "hosted",
    "npm" + r"js\.",
    "deb." + r"debian\.org",
    "arti" + "factory",
    "dev" + r"pi\b",
]


def calls(tree: ast.AST):
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_only_named_modules_talk_http():
    """A call outside the transport has no total deadline, follows redirects and may reach our own network."""
    found = [
        f"{name}:{node.lineno}"
        for name, tree in modules(*PACKAGES)
        if not name.startswith(NETWORK)
        for node in ast.walk(tree)
        if _talks_http(node)
    ]
    assert found == []


def _talks_http(node: ast.AST) -> bool:
    """Modules that only talk, and the parts of `requests` that do; to prepare a request and read it is fine."""
    if isinstance(node, ast.Import):
        return any(alias.name.split(".")[0] in CLIENTS or alias.name == "urllib.request" for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        verbs = module.split(".")[0] == "requests" and any(alias.name in VERBS for alias in node.names)
        return verbs or module.split(".")[0] in CLIENTS or module == "urllib.request"
    return isinstance(node, ast.Attribute) and ast.unparse(node.value) == "requests" and node.attr in VERBS


def test_doors_do_not_query():
    """A view or a task makes one domain call; what it needs from the database is an operation's or a query's work."""
    found = [
        f"{name}:{node.lineno}"
        for name, tree in modules(*DOORS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"objects", "_default_manager"}
    ]
    assert found == []


def test_no_door_writes_a_row():
    """Not even the console, which may read: a write goes through an operation, with its checks and its event."""
    found = [
        f"{name}:{node.lineno}"
        for name, tree in modules(*ALL_DOORS)
        for node in calls(tree)
        if isinstance(node.func, ast.Attribute)
        and node.func.attr in WRITES
        and any(isinstance(part, ast.Attribute) and part.attr == "objects" for part in ast.walk(node.func))
    ]
    assert found == []


def test_no_float_comes_near_money():
    """No float literal, no float() and no true division in payments, but for modules that count seconds."""
    found = []
    for name, tree in modules("payments"):
        if name in MAY_COUNT_SECONDS:
            continue
        for node in ast.walk(tree):
            literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
            division = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and not _is_a_path(node)
            if literal or call or division:
                found.append(f"{name}:{node.lineno} {ast.unparse(node)}")
    assert found == []


def _is_a_path(node: ast.BinOp) -> bool:
    words = ast.unparse(node).lower()
    return any(word in words for word in ("dir", "path", "_file"))


def test_what_counts_seconds_does_not_touch_money():
    found = [
        f"{name}:{node.lineno}"
        for name, tree in modules(*MAY_COUNT_SECONDS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
        and (node.id if isinstance(node, ast.Name) else node.attr).endswith("_fen")
    ]
    assert found == []


def test_no_file_is_longer_than_a_reader_can_hold():
    found = {
        path.relative_to(ROOT).as_posix(): count
        for path in files()
        if path.suffix in {".py", ".html", ".js"}
        and (count := len(path.read_text(encoding="utf-8").splitlines())) > LINES_MAX
    }
    assert found == {}


def _text_files():
    for path in files():
        if path.suffix not in {".mo", ".png", ".ico", ".woff2"}:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_no_file_names_a_machine_or_a_package_registry():
    """Whoever clones this has neither."""
    pattern = re.compile("|".join([*PLACES, *REGISTRIES]), re.IGNORECASE)
    found = [f"{name}: {match.group()}" for name, text in _text_files() if (match := pattern.search(text))]
    assert found == []


def test_nothing_is_left_to_do():
    pattern = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    assert [name for name, text in _text_files() if pattern.search(text)] == []


def test_locks_pin_everything_with_hashes_and_name_no_address():
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        pins = re.split(r"\n(?=[a-z0-9])", text.strip())
        assert len(pins) > 30
        assert [pin.split()[0] for pin in pins if not re.match(r"[\w.\[\]-]+==[\w.!+]+[ ;]", pin)] == []
        assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_locks_hold_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, wanted in (
        ("requirements.lock", project["dependencies"]),
        ("requirements-dev.lock", [*project["dependencies"], *project["optional-dependencies"]["dev"]]),
    ):
        lines = {line.split(" ")[0].lower() for line in (ROOT / name).read_text().splitlines()}
        assert {requirement.lower() for requirement in wanted} - lines == set()


def test_every_setting_is_in_the_deployment_guide():
    guide = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    read = {name for _module, tree in modules(*PACKAGES) for name in _variables(tree)} - NOT_FOR_OPERATORS
    assert len(read) > 30
    assert sorted(name for name in read if f"`{name}`" not in guide) == []


def _variables(tree: ast.Module):
    """Names of environment variables that a module reads, by config.environment or from os.environ."""
    for node in calls(tree):
        function = node.func
        if not (isinstance(function, ast.Attribute) and node.args and isinstance(node.args[0], ast.Constant)):
            continue
        owner = ast.unparse(function.value)
        if (owner == "env" and function.attr in READERS) or (owner == "os.environ" and function.attr == "get"):
            yield node.args[0].value
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Subscript)
            and ast.unparse(node.value) == "os.environ"
            and isinstance(node.slice, ast.Constant)
        ):
            yield node.slice.value


def test_every_migration_has_a_name_that_says_what_it_does():
    found = [path.relative_to(ROOT).as_posix() for path in files() if re.search(r"/migrations/\d{4}_auto_", str(path))]
    assert found == []
    assert any("/migrations/" in str(path) for path in files())
