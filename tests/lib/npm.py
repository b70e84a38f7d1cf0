"""Clients written in JavaScript: installs them at the pinned versions and runs a script that uses them.

The packages are those of compat/node/package-lock.json. They go to build/npm, which no other build touches, by `npm ci`;
that takes seconds and the network once, and nothing once the lock file has been installed.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from lib.servers import ROOT

SCRIPTS = ROOT / "tests" / "compat" / "node"
INSTALLED = ROOT / "build" / "npm"
_INSTALL_S = 100


def install():
    """Several tests may start at once: the first one installs, the others wait."""
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            raise RuntimeError(f"{tool} is missing; on Debian: apt-get install --no-install-recommends nodejs npm")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    files = [SCRIPTS / name for name in ("package.json", "package-lock.json")]
    wanted = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    stamp = INSTALLED / ".installed"
    with open(INSTALLED / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        stamp.unlink(missing_ok=True)
        for file in files:
            shutil.copy(file, INSTALLED)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"],
                              cwd=INSTALLED, capture_output=True, text=True, timeout=_INSTALL_S)
        if done.returncode != 0:
            raise RuntimeError(f"npm ci failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        stamp.write_text(wanted)


def run(checks, script, label, settings, wait_s=60):
    """Runs a script of compat/node, called `label` in messages, with `settings` as MS_* in its environment; what it checked is added to `checks`.

    Its last line is what checks.js prints; anything else it says, and a script that does not come that far, is a failure."""
    environment = {**os.environ, "NODE_PATH": str(INSTALLED / "node_modules"), "NO_COLOR": "1",
                   **{f"MS_{name.upper()}": str(value) for name, value in settings.items()}}
    try:
        done = subprocess.run(["node", "--unhandled-rejections=strict", str(SCRIPTS / script)], env=environment,
                              capture_output=True, text=True, timeout=wait_s)
    except subprocess.TimeoutExpired as late:
        said = b"".join(part for part in (late.stdout, late.stderr) if part).decode(errors="replace")
        checks.expect(False, f"{label} did not end within {wait_s} s: {said[-3000:]}")
        return
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines or not lines[-1].startswith('{"checks":'):
        checks.expect(False, f"{label}: status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return
    outcome = json.loads(lines[-1])
    checks.add(outcome["checks"], [f"{label}: {failure}" for failure in outcome["failures"]])
    checks.expect(not lines[:-1] and not done.stderr, f"{label} also said: {done.stdout[-2000:]}{done.stderr[-2000:]}")
