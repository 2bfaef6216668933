"""Which distributions the tests' own code asks for: by what it imports, and by the fixtures and options it uses."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from thinklonger.agent.execution.environments.texts import normal, read_text

FILES = 600
"""Test files that are read at most."""
DISTRIBUTIONS = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "flask_sqlalchemy": "Flask-SQLAlchemy",
    "git": "GitPython",
    "google.protobuf": "protobuf",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "magic": "python-magic",
    "memcache": "python-memcached",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "Pillow",
    "pkg_resources": "setuptools<80",
    "psycopg2": "psycopg2-binary",
    "rest_framework": "djangorestframework",
    "serial": "pyserial",
    "setuptools": "setuptools<80",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "socks": "PySocks",
    "usb": "pyusb",
    "websocket": "websocket-client",
    "wx": "wxPython",
    "xdist": "pytest-xdist",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
"""Modules whose distribution has another name; all others are looked for under their own, with dashes."""
FIXTURES = {
    "aiohttp_client": "pytest-aiohttp",
    "benchmark": "pytest-benchmark",
    "class_mocker": "pytest-mock",
    "data_regression": "pytest-regressions",
    "datadir": "pytest-datadir",
    "event_loop": "pytest-asyncio",
    "faker": "Faker",
    "file_regression": "pytest-regressions",
    "freezer": "pytest-freezer",
    "fs": "pyfakefs",
    "httpbin": "pytest-httpbin",
    "httpserver": "pytest-httpserver",
    "httpx_mock": "pytest-httpx",
    "lazy_datadir": "pytest-datadir",
    "mocker": "pytest-mock",
    "module_mocker": "pytest-mock",
    "requests_mock": "requests-mock",
    "shared_datadir": "pytest-datadir",
    "smtpd": "pytest-localserver",
    "snapshot": "syrupy",
    "subtests": "pytest-subtests",
    "testdir": "",
    "time_machine": "time-machine",
}
"""Fixtures of well-known pytest plugins."""
MARKS = {"asyncio": "pytest-asyncio", "trio": "pytest-trio", "django_db": "pytest-django", "timeout": "pytest-timeout"}
OPTIONS = {
    "--asyncio-mode": "pytest-asyncio",
    "--benchmark": "pytest-benchmark",
    "--cov": "pytest-cov",
    "--black": "pytest-black",
    "--dist": "pytest-xdist",
    "--doctest-glob": "",
    "--ds": "pytest-django",
    "--flake8": "pytest-flake8",
    "--mypy": "pytest-mypy",
    "--numprocesses": "pytest-xdist",
    "--random-order": "pytest-random-order",
    "--reruns": "pytest-rerunfailures",
    "--timeout": "pytest-timeout",
    "-n": "pytest-xdist",
}
REMOVED = frozenset(
    {"asynchat", "asyncore", "cgi", "crypt", "distutils", "imp", "lib2to3", "pipes", "smtpd", "telnetlib"}
)
"""Modules of the standard library that newer Pythons lack."""
STANDARD = frozenset(sys.stdlib_module_names) | REMOVED | {"__main__", "_pytest", "pytest"}


def distribution_of(module: str) -> str:
    """The requirement that brings a module: a well-known name, else the module's own."""
    top = module.partition(".")[0]
    return DISTRIBUTIONS.get(module) or DISTRIBUTIONS.get(top) or normal(top)


def plugins_of_options(addopts: str) -> list[str]:
    """The plugins that pytest's configured options belong to."""
    return list(dict.fromkeys(plugin for word in addopts.split() if (plugin := plugin_of(word))))


def plugin_of(word: str) -> str:
    """The plugin that an option belongs to; empty for pytest's own, and for what is no option."""
    if re.match(r"-n(?:\d+|auto)?$", word):
        return OPTIONS["-n"]
    return next((plugin for option, plugin in OPTIONS.items() if option != "-n" and word.startswith(option)), "")


def read_usage(root: Path, files: Iterable[PurePosixPath]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Modules that test files import at their top level and that are not the repository's; plugins; Python 2 code.

    An import inside `try` or a function is the file's own business when it fails.
    """
    paths = sorted(files)
    own = own_modules(paths)
    modules: dict[str, None] = {}
    plugins: dict[str, None] = {}
    broken = 0
    tests = [path for path in paths if is_test(path)][:FILES]
    for path in tests:
        try:
            tree = ast.parse(read_text(root, path))
        except (SyntaxError, ValueError, RecursionError):
            broken += 1
            continue
        for module in imported(tree):
            top = module.partition(".")[0]
            if top not in STANDARD and top not in own:
                modules[module if module in DISTRIBUTIONS else top] = None
        plugins |= dict.fromkeys(used_plugins(tree))
    sources = [path for path in paths if path.suffix == ".py" and not is_test(path)][:FILES]
    python2 = sum(1 for path in (*tests, *sources) if speaks_python2(read_text(root, path)))
    return tuple(modules), tuple(plugins), bool(python2) and python2 * 4 >= len(tests) + len(sources)


def is_test(path: PurePosixPath) -> bool:
    """Whether a file is test code, by its name and folders."""
    inside = any(part in ("test", "tests", "testing") for part in path.parts[:-1])
    return path.suffix == ".py" and (
        inside
        or path.name.startswith(("test_", "test"))
        or path.name == "conftest.py"
        or path.name.endswith("_test.py")
    )


def own_modules(paths: Iterable[PurePosixPath]) -> frozenset[str]:
    """The names that the repository's own files and folders can be imported by."""
    names: set[str] = set()
    for path in paths:
        if path.suffix in (".py", ".pyx", ".c", ".so"):
            names.add(path.name.partition(".")[0])
            names.update(path.parts[:-1])
    return frozenset(names)


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules that a file imports for sure when it is imported."""
    for node in tree.body:
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str() as module, level=0):
                yield module
            case _:
                pass


def used_plugins(tree: ast.Module) -> Iterator[str]:
    """The pytest plugins that a file's fixtures and marks belong to."""
    defined = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name, args=arguments) | ast.AsyncFunctionDef(name=name, args=arguments):
                if name.startswith("test"):
                    for argument in arguments.args:
                        if argument.arg not in defined and (plugin := FIXTURES.get(argument.arg)):
                            yield plugin
            case ast.Attribute(value=ast.Attribute(attr="mark"), attr=attribute):
                if plugin := MARKS.get(attribute):
                    yield plugin
            case _:
                pass


PYTHON2 = re.compile(r"^\s*(?:print\s+[\"'\w]|except\s+[\w.]+\s*,\s*\w+\s*:|exec\s+[\"'])", re.MULTILINE)


def speaks_python2(text: str) -> bool:
    """Whether a file can only be Python 2: its print is a statement, or its except has a comma."""
    if not PYTHON2.search(text):
        return False
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return True
    return False
