"""The wheel alone, installed away from the checkout, is a working program."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import her2scope

REPO = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.timeout(400)


def run(command: list[str | Path], cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed; fail with its errors."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel; --no-isolation, because a test downloads nothing."""
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, REPO], cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a virtual environment that has the wheel and borrows its dependencies.

    The borrowed folder is added as a plain path: Python does not read .pth files in
    such folders, so the checkout's editable install stays out of sight.
    """
    venv = tmp_path_factory.mktemp("installed") / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", venv], cwd=venv.parent)
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "-qq"]
    run([*pip, "--no-index", "--no-deps", wheel], cwd=venv.parent)
    (site_packages,) = (venv / "lib").glob("python*/site-packages")
    (site_packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return venv


@pytest.fixture
def bare_env() -> dict[str, str]:
    """The environment without what could lead back to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def test_the_wheel_carries_what_ships_beside_the_code(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    for folder in ("models", "calibration"):
        shipped = [path for path in (REPO / folder).rglob("*") if path.is_file()]
        assert {f"her2scope/_data/{path.relative_to(REPO).as_posix()}" for path in shipped} <= names
    migrations = (REPO / "her2scope" / "storage" / "migrations" / "versions").glob("*.py")
    assert {path.relative_to(REPO).as_posix() for path in migrations} <= names
    docs = (REPO / "her2scope" / "docs").rglob("*.md")
    assert {path.relative_to(REPO).as_posix() for path in docs} <= names
    assert not [name for name in names if name.startswith(("tests/", "shared/"))]


def test_the_installed_package_is_the_wheels(installed: Path, tmp_path: Path, bare_env: dict[str, str]) -> None:
    code = (
        "import her2scope, her2scope.resources as r; print(her2scope.__version__);"
        "print(her2scope.__file__); print(r.resource_dir('models')); print(r.resource_dir('calibration'))"
    )
    version, *places = run([installed / "bin" / "python", "-c", code], tmp_path, bare_env).splitlines()

    assert version == her2scope.__version__
    for place in map(Path, places):
        assert installed in place.parents
        assert place.exists()


def test_demo_runs_from_the_wheel(installed: Path, tmp_path: Path, bare_env: dict[str, str]) -> None:
    out = tmp_path / "report"

    run([installed / "bin" / "her2scope", "demo", "--headless", "--out", out], tmp_path, bare_env)

    assert {"report.pdf", "report.html", "report.json"} <= {path.name for path in out.iterdir()}


def test_every_dependency_has_one_exact_version() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    lines = (REPO / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(r.name): r for r in map(Requirement, (x for x in lines if not x.startswith("#")))}

    for requirement in map(Requirement, wanted):
        (pin,) = pinned[canonicalize_name(requirement.name)].specifier
        assert pin.operator == "==", "run `make constraints`"
        assert requirement.specifier.contains(pin.version), "run `make constraints`"
