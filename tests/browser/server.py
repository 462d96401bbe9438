"""A JupyterLab server of the tests' own, and the browser that looks at it."""

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
ON_PATH = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chrome", "msedge", "microsoft-edge"),
)
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
KERNELS = {
    "python3": KERNEL,
    "quick": [*KERNEL, f"--IPKernelApp.exec_files={QUICK}"],
}


def find_browsers():
    """Return the programs that may be Chromium, the most likely first."""
    named = os.environ.get("MNIST_LESSONS_CHROMIUM")
    if named:
        return [named]
    found = [path for name in ON_PATH if (path := shutil.which(name))]
    return found + [place for place in USUAL_PLACES if Path(place).is_file()]


def launch(chromium):
    """Start a browser; return it, or `None` and why there is none."""
    from playwright.sync_api import Error

    candidates = find_browsers()
    if Path(chromium.executable_path).is_file():
        candidates.append(None)  # Playwright's own
    reasons = []
    for candidate in candidates:
        try:
            return chromium.launch(executable_path=candidate), ""
        except Error as error:
            reasons.append(f"{candidate}: {error.message.splitlines()[0]}")
    return None, " | ".join([ADVICE, *reasons])


class Lab:
    """JupyterLab on 127.0.0.1, on quick copies of the lessons, without user settings.

    It takes further options of JupyterLab, as they are typed.

    Attributes:
        root: the folder that it serves.
        url: its address.
    """

    def __init__(self, folder, *options):
        self.root = folder / "root"
        self.log = folder / "server.log"
        self.root.mkdir()
        for lesson in LESSONS.glob("*.ipynb"):
            copy = nbformat.read(lesson, as_version=4)
            copy.metadata["kernelspec"] = {"name": "quick", "display_name": "quick"}
            nbformat.write(copy, self.root / lesson.name)
        for name, values in SETTINGS.items():
            file = f"settings/@jupyterlab/{name}.jupyterlab-settings"
            write_json(folder / file, values)
        for name, command in KERNELS.items():
            spec = {"argv": command, "display_name": name, "language": "python"}
            write_json(folder / "path" / "kernels" / name / "kernel.json", spec)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += ["--expose-app-in-browser", "--IdentityProvider.token="]
        command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
        command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={self.root}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *options],
                cwd=self.root,
                env=environment(folder),
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops it
            )

    def wait(self, seconds=120):
        """Return once it answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/api/status", timeout=5).read()
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise RuntimeError(f"JupyterLab gave no answer:\n{self.log.read_text()}")

    def stop(self):
        """End the server and its kernels; a kernel whose server is gone ends itself."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def write_json(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")


def environment(folder):
    """Return this process's environment, with Jupyter's folders in that folder."""
    ours = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_PATH": "path",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    refused = {"MPLBACKEND", "JUPYTER_TOKEN"}
    kept = {k: v for k, v in os.environ.items() if k not in refused}
    return kept | {name: str(folder / part) for name, part in ours.items()}
