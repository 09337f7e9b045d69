"""Make the project's virtual environment once, and run inside it.

``python3 -m tests`` and ``python3 -m demo`` start here, so that a fresh checkout needs nothing but
Python: no activation, no installer, no make. Only the standard library is used, and only syntax that
old interpreters can parse, so that they refuse in one sentence and not with a SyntaxError.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time

MINIMUM = (3, 11)
DISTRIBUTION = "django-data-sync"
ROOT = os.path.dirname(os.path.abspath(__file__))
#: Another folder than ``.venv`` is for trying a second Python beside the first.
VENV = os.path.join(ROOT, os.environ.get("DATA_SYNC_VENV") or ".venv")
PYTHON = os.path.join(VENV, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
STAMP = os.path.join(VENV, "data-sync-stamp.json")


def ensure(extras, module):
    """Return only when running in an environment with the project and these extras installed.

    Anywhere else: make or refresh the environment, then run ``python -m module`` in it with this
    process's arguments and end with its exit code. An environment that has everything already, such
    as an activated one, is used as it is and never written to. Costs well under a second when there
    is nothing to do. Exits with one sentence where Python is too old or the installation fails.
    """
    if sys.version_info < MINIMUM:
        versions = MINIMUM + tuple(sys.version_info[:2])
        sys.exit("data_sync needs Python %d.%d or newer; this is Python %d.%d." % versions)
    inside = _same(sys.prefix, VENV)
    stamped = inside and os.path.exists(STAMP)
    if _is_current(extras) if stamped else _has_everything(extras):
        return
    try:
        with _alone():
            if not _is_current(extras):
                _install(extras, create=not inside)
    except KeyboardInterrupt:
        sys.exit(130)
    _run_inside(module)


def _is_current(extras):
    """Whether the environment was installed from today's files with at least these extras."""
    stamp = _stamp()
    return stamp.get("fingerprint") == _fingerprint() and set(extras) <= set(stamp["extras"])


def _has_everything(extras):
    """Whether the running environment satisfies pyproject.toml with these extras, versions included."""
    import tomllib
    from importlib import metadata

    try:
        from packaging.requirements import Requirement

        metadata.version(DISTRIBUTION)
        with open(os.path.join(ROOT, "pyproject.toml"), "rb") as handle:
            project = tomllib.load(handle)["project"]
        lines = list(project["dependencies"])
        for extra in extras:
            lines += project["optional-dependencies"][extra]
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate():
                installed = metadata.version(requirement.name)
                if not requirement.specifier.contains(installed, prereleases=True):
                    return False
    except ImportError:  # PackageNotFoundError is one
        return False
    return True


def _install(extras, create):
    """Bring the environment up to date and stamp it; the extras it already had are kept."""
    extras = sorted(set(extras) | set(_stamp().get("extras", ())))
    if os.path.exists(STAMP):
        os.remove(STAMP)  # An interrupted installation must not look finished.
    if create:
        _make()
    _say("Installing %s[%s] (the first time takes a minute) ..." % (DISTRIBUTION, ",".join(extras)))
    started = time.time()
    _pip("install", "-c", "constraints.txt", "-e", ".[%s]" % ",".join(extras))
    with open(STAMP, "w") as handle:
        json.dump({"fingerprint": _fingerprint(), "extras": extras}, handle)
    _say("Ready after %d s." % (time.time() - started))


def _make():
    """Make the environment, or mend it; one of another Python is made anew."""
    name, exists = os.path.basename(VENV), os.path.isdir(VENV)
    if exists and not os.path.exists(os.path.join(VENV, "pyvenv.cfg")):
        # To clear it would be to empty a folder of somebody else's.
        sys.exit("%s is there but is not a virtual environment; move it away." % VENV)
    versions = tuple(sys.version_info[:3])
    _say("%s %s with Python %d.%d.%d ..." % (("Refreshing" if exists else "Making", name) + versions))
    clear = [] if _runs_this_python() else ["--clear"]
    if subprocess.call([sys.executable, "-m", "venv"] + clear + [VENV]):
        sys.exit("This Python cannot make a virtual environment (Debian and Ubuntu: install python3-venv).")


def _pip(*arguments):
    """Run pip in the environment, counting packages on a terminal; on failure show its last lines."""
    command = [PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input"] + list(arguments)
    pip = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines, count, terminal = [], 0, sys.stderr.isatty()
    for raw in pip.stdout:
        lines.append(raw.decode("utf-8", "replace").rstrip())
        if terminal and lines[-1].startswith("Collecting "):
            count += 1
            sys.stderr.write("\r\033[K%4d  %s" % (count, lines[-1].split()[1][:60]))
        elif terminal and lines[-1].startswith("Installing collected"):
            sys.stderr.write("\r\033[Kunpacking %d packages" % count)
        sys.stderr.flush()
    if terminal:
        sys.stderr.write("\r\033[K")
    if pip.wait():
        sys.exit("\n".join(lines[-15:] + ["The installation failed; pip's last words are above."]))


def _run_inside(module):
    """Replace this process by the environment's Python; never returns."""
    command = [PYTHON, "-m", module] + sys.argv[1:]
    if os.name != "nt":
        os.execv(PYTHON, command)
    # Windows has no exec: the caller would get its prompt back while the new process still runs.
    child = subprocess.Popen(command)
    while True:
        try:
            sys.exit(child.wait())
        except KeyboardInterrupt:
            pass  # The child got it too, and decides.


def _runs_this_python():
    """Whether the folder holds an environment of this very Python."""
    try:
        answer = subprocess.check_output([PYTHON, "-c", "import sys; print(repr(sys.version))"])
    except (EnvironmentError, subprocess.CalledProcessError):
        return False
    return answer.decode("utf-8").strip() == repr(sys.version)


def _fingerprint():
    """Digest of everything that decides what gets installed, and where."""
    digest = hashlib.sha256(repr((ROOT, sys.version)).encode("utf-8"))
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as handle:
            digest.update(hashlib.sha256(handle.read()).digest())
    return digest.hexdigest()


def _stamp():
    try:
        with open(STAMP) as handle:
            return json.load(handle)
    except (EnvironmentError, ValueError):
        return {}


@contextlib.contextmanager
def _alone():
    """Hold the environment alone: two first starts at once would install over each other."""
    with open(VENV + ".lock", "a") as handle:
        if not _lock(handle):
            _say("Waiting for another start, which is installing ...")
            while not _lock(handle):
                time.sleep(0.5)
        yield


def _lock(handle):
    """Try to take the lock and say whether it worked; the system frees it when the process ends."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except EnvironmentError:
        return False
    return True


def _same(one, other):
    one, other = (os.path.normcase(os.path.realpath(path)) for path in (one, other))
    return one == other


def _say(text):
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
