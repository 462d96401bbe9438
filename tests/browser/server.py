"""A JupyterLab server of the tests' own, and the browser that looks at it."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat

LESSONS = Path(__file__).resolve().parent.parent.parent / "notebooks"
QUICK = Path(__file__).resolve().parent / "quick.py"
ADVICE = (
    "the tests in a browser need Chromium: apt install chromium (Debian, Ubuntu), "
    "brew install --cask chromium (macOS), or `python -m playwright install chromium`; "
    "$MNIST_LESSONS_CHROMIUM may name the program"
)
ON_PATH = "chromium chromium-browser google-chrome google-chrome-stable chrome msedge"
ON_PATH += " microsoft-edge"
USUAL_PLACES = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
    # JupyterLab takes cells that are out of view out of the page, and what is not in
    # the page cannot be found or looked at
    "notebook-extension/tracker": {"windowingMode": "none", "scrollPastEnd": False},
}
KERNEL = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
# python3 by name: a kernel of the user's that is called so, too, is another Python
KERNELS = {"python3": KERNEL, "quick": [*KERNEL, f"--IPKernelApp.exec_files={QUICK}"]}
# what Jupyter is told in its environment; here each is a folder of that name
FOLDERS = "JUPYTER_CONFIG_DIR JUPYTER_DATA_DIR JUPYTER_PATH JUPYTER_RUNTIME_DIR"
FOLDERS += " JUPYTERLAB_SETTINGS_DIR JUPYTERLAB_WORKSPACES_DIR IPYTHONDIR"


def find_browsers():
    """Return the programs that may be Chromium, the most likely first."""
    if named := os.environ.get("MNIST_LESSONS_CHROMIUM"):
        return [named]
    places = [*map(shutil.which, ON_PATH.split()), *USUAL_PLACES]
    return [place for place in places if place and Path(place).is_file()]


def launch(chromium):
    """Start a browser; return it, or `None` and why there is none."""
    from playwright.sync_api import Error

    own = [None] if Path(chromium.executable_path).is_file() else []  # Playwright's
    reasons = []
    for candidate in find_browsers() + own:
        try:
            return chromium.launch(executable_path=candidate), ""
        except Error as error:
            reasons.append(f"{candidate}: {error.message.splitlines()[0]}")
    return None, " | ".join([ADVICE, *reasons])


class Lab:
    """JupyterLab on 127.0.0.1, on quick copies of the lessons, without user settings.

    It serves the folder `root` at `url`, and takes further options, as they are typed.
    """

    def __init__(self, folder, *options):
        self.root, self.log = folder / "root", folder / "server.log"
        self.root.mkdir()
        for lesson in LESSONS.glob("*.ipynb"):
            copy = nbformat.read(lesson, as_version=4)
            copy.metadata["kernelspec"] = {"name": "quick", "display_name": "quick"}
            nbformat.write(copy, self.root / lesson.name)
        for name, values in SETTINGS.items():
            file = f"JUPYTERLAB_SETTINGS_DIR/@jupyterlab/{name}.jupyterlab-settings"
            write_json(folder / file, values)
        for name, command in KERNELS.items():
            spec = {"argv": command, "display_name": name, "language": "python"}
            write_json(folder / f"JUPYTER_PATH/kernels/{name}/kernel.json", spec)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += ["--expose-app-in-browser", "--IdentityProvider.token="]
        command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
        command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={self.root}"]
        refused = {"MPLBACKEND", "JUPYTER_TOKEN"}
        environment = {k: v for k, v in os.environ.items() if k not in refused}
        environment |= {name: str(folder / name) for name in FOLDERS.split()}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *options],
                cwd=self.root,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops it
            )

    def wait(self, seconds=120):
        """Return once it answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/api/status", timeout=5).read()
                return
            time.sleep(0.2)
        raise RuntimeError(f"JupyterLab gave no answer:\n{self.log.read_text()}")

    def stop(self):
        """End the server and its kernels; a kernel whose server is gone ends itself."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        self.process.kill()
        self.process.wait()


def write_json(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")
