"""Kafka and PostgreSQL, brought by Maven into `.gatepost/cache/`, once for each version of the pom."""

import hashlib
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

from deploy.local.paths import CACHE, Trouble

POM: Final = Path(__file__).parent / "pom.xml"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64v8"}


def fetched() -> Path:
    """The folder with `kafka/*.jar` and `postgres/`; fetches them when they are not there yet."""
    folder = CACHE / f"servers-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if not (folder / "complete").exists():
        _need_tools()
        shutil.rmtree(folder, ignore_errors=True)
        _copy_jars(folder / "kafka")
        _unpack_postgres(folder)
        (folder / "complete").touch()
    return folder


def java() -> str:
    found = shutil.which("java")
    if found is None:
        raise Trouble("Java is missing. Run `apt-get install -y openjdk-17-jre-headless` (or `make setup`).")
    return found


def _need_tools() -> None:
    java()
    if shutil.which("mvn") is None:
        raise Trouble("Maven is missing. Run `apt-get install -y maven` (or `make setup`).")
    if shutil.which("xz") is None:
        raise Trouble("xz is missing. Run `apt-get install -y xz-utils` (or `make setup`).")


def _copy_jars(folder: Path) -> None:
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise Trouble(f"there are no PostgreSQL binaries for {machine}; use deploy/compose.yaml instead")
    command = ["mvn", "-B", "-q", "-f", str(POM), f"-Dpostgres.arch={ARCHITECTURES[machine]}"]
    command += ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        sys.stderr.write("\n".join(lines[-15:]) + "\n")
        raise Trouble("Maven could not bring Kafka and PostgreSQL; its last lines are above.")


def _unpack_postgres(folder: Path) -> None:
    jar = next((folder / "kafka").glob("embedded-postgres-binaries-*.jar"))
    with zipfile.ZipFile(jar) as packed:
        name = next(n for n in packed.namelist() if n.endswith(".txz"))
        packed.extract(name, folder)
    target = folder / "postgres"
    target.mkdir()
    with tarfile.open(folder / name) as archive:
        archive.extractall(target, filter="tar")
    (folder / name).unlink()
    jar.unlink()
