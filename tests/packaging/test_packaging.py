"""What a person installs: the wheel made from the sdist, and a checkout in place; each finds its themes and runs."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THEMES = {path.stem for path in (ROOT / "themes").glob("*.toml")}
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input"]

pytestmark = pytest.mark.slow


def run(argv, **options):
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=300, **options)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Run a hook of the build backend (PEP 517) in a tree; the file that it made."""

    def build(hook, tree):
        out = tmp_path_factory.mktemp(hook)
        done = run([sys.executable, "-c", f"import hatchling.build as b; print(b.{hook}({str(out)!r}))"], cwd=tree)
        assert done.returncode == 0, done.stderr
        return out / done.stdout.split()[-1]

    return build


@pytest.fixture(scope="module")
def sdist(build):
    return build("build_sdist", ROOT)


@pytest.fixture(scope="module")
def unpacked(sdist, tmp_path_factory):
    """The tree in the sdist: all that a packager has."""
    place = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    return next(place.iterdir())


@pytest.fixture(scope="module")
def wheel(build, unpacked):
    return build("build_wheel", unpacked)


@pytest.fixture
def fresh(tmp_path):
    """A venv that has the dependencies of this one, but no perfconsole."""
    place = tmp_path / "venv"
    venv.create(place, with_pip=False, symlinks=True)
    site = next((place / "lib").glob("python*")) / "site-packages"
    # A path in a .pth file: .pth files in there (an editable install of this very project) are not followed.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n" + sysconfig.get_paths()["platlib"] + "\n")
    return place


def test_the_sdist_is_complete(unpacked):
    for name in (
        "config.example.toml",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "perfconsole/__main__.py",
        "tests/unit",
        "perfconsole/py.typed",
    ):
        assert (unpacked / name).exists(), name
    assert {path.stem for path in (unpacked / "themes").glob("*.toml")} == THEMES
    assert not list(unpacked.rglob("*.pyc"))


def test_the_wheel_has_the_program_the_themes_and_the_licence_and_no_more(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {Path(name).stem for name in names if name.startswith("perfconsole/themes/")} == THEMES
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"perfconsole"}
    assert "perfconsole/py.typed" in names


def test_installed_from_the_wheel_it_runs(wheel, fresh, tmp_path):
    installed = run([*PIP, "--python", str(fresh / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel)])
    assert installed.returncode == 0, installed.stderr
    _runs(fresh, tmp_path, inside=fresh)


def test_installed_in_place_it_runs(unpacked, fresh, tmp_path, build):
    assert build
    installed = run([*PIP, "--python", str(fresh / "bin" / "python"), "install", "--no-deps", "--editable", str(unpacked)])
    assert installed.returncode == 0, installed.stderr
    _runs(fresh, tmp_path, inside=unpacked)


def _runs(place, tmp_path, inside):
    """The command and the module, from a directory that has nothing to do with it."""
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    found = run([str(place / "bin" / "python"), "-c", "import perfconsole; print(perfconsole.__file__)"], cwd=tmp_path, env=env)
    assert Path(found.stdout.strip()).is_relative_to(inside), found.stdout + found.stderr
    version = run([str(place / "bin" / "perfconsole"), "--version"], cwd=tmp_path, env=env)
    assert re.fullmatch(r"perfconsole \d+\.\d+\.\d+\S*\n", version.stdout), version.stderr
    listed = run([str(place / "bin" / "python"), "-m", "perfconsole", "themes"], cwd=tmp_path, env=env)
    assert {line.split()[0] for line in listed.stdout.splitlines() if line.endswith("shipped")} == THEMES, listed.stderr
    measured = run([str(place / "bin" / "perfconsole"), "snapshot"], cwd=tmp_path, env=env)
    assert (measured.returncode, measured.stderr) == (0, "")
    assert measured.stdout.strip()


def test_the_version_is_said_once():
    """The wheel's is read from the package: there is no second one to forget."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in text
    assert not re.search(r"(?m)^version\s*=", text)
