"""Opening the lessons in JupyterLab, on a laptop or for a projector."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from mnist_lessons.teaching.notebooks import FIRST_LESSON, find_lessons, lessons_named

# for a projector: JupyterLab's own settings, by plugin; sizes are for 1280 x 720
SETTINGS: dict[str, dict[str, Any]] = {
    "apputils-extension/themes": {
        "theme": "JupyterLab Light",
        "overrides": {
            "code-font-size": "20px",
            "content-font-size1": "21px",
            "ui-font-size1": "17px",
        },
    },
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
    "statusbar-extension/plugin": {"visible": False},
}
SIDE = {"collapsed": True, "visible": False}
WORKSPACE = {
    "data": {"layout-restorer:data": {"left": SIDE, "right": SIDE}},
    "metadata": {"id": "default"},
}


def run_lab(options: list[str]) -> int:
    """Start JupyterLab in this process; it returns when the server is stopped."""
    folder = find_lessons()
    # here, because the import takes a second that --help need not wait for
    from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]

    print(f"Starting JupyterLab in {folder}; stop it with Ctrl-C.", flush=True)
    LabApp.launch_instance(argv=lab_options(folder, options))
    return 0


def lab_options(folder: Path, options: list[str]) -> list[str]:
    """Return options for a start without questions, then those typed, which win."""
    typed = {option.split("=")[0] for option in options}
    # another folder is taken to hold copies of the lessons themselves
    root = folder if "--notebook-dir" in typed else served_folder(folder)
    lesson = (folder / FIRST_LESSON).relative_to(root).as_posix()
    defaults = [
        f"--notebook-dir={root}",
        f"--LabApp.default_url=/lab/tree/{lesson}",
        "-y",  # Ctrl-C stops the server without asking
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        defaults.append("--allow-root")  # in a container; JupyterLab refuses otherwise
    if not has_display():
        defaults.append("--no-browser")  # else a text browser takes over the terminal
    # JupyterLab prints the address on its own line only if it made the token; with
    # another token the address stands in the log, which is then needed
    if "JUPYTER_TOKEN" not in os.environ and not any("token" in o for o in options):
        defaults.append("--log-level=WARN")
    return [o for o in defaults if o.split("=")[0] not in typed] + options


def served_folder(lessons: Path) -> Path:
    """Return the project's folder where the lessons lie in it, else their own.

    The lessons link to the pages in docs/, and JupyterLab opens only what it serves.
    """
    project = lessons.parent
    return project if (project / "docs" / "glossary.md").is_file() else lessons


def has_display() -> bool:
    """Tell whether a browser can show itself; only on Linux may there be no screen."""
    # BROWSER: set by an editor on another machine, which opens the page over there
    names = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return sys.platform != "linux" or any(os.environ.get(name) for name in names)


def run_projector(lesson: str, options: list[str]) -> int:
    """Open one lesson in large type, without side bars, until the server is stopped.

    Settings and workspace lie in a folder of their own that goes with the server, so
    those of the user stay as they are. `options` are JupyterLab's.
    """
    notebook = lessons_named(lesson)[0]
    with tempfile.TemporaryDirectory() as folder:
        return run_lab(projector_options(notebook, Path(folder)) + options)


def projector_options(notebook: Path, folder: Path) -> list[str]:
    """Write settings and workspace into the folder; return options that use them."""
    # with JupyterLab, so that --help need not wait for it
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    lesson = notebook.relative_to(served_folder(notebook.parent)).as_posix()
    settings, workspaces = folder / "settings", folder / "workspaces"
    for plugin, values in SETTINGS.items():
        file = settings / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")
    WorkspacesManager(str(workspaces)).save("default", json.dumps(WORKSPACE))
    return [
        f"--LabApp.default_url=/doc/tree/{lesson}",  # /doc: one document
        f"--LabApp.user_settings_dir={settings}",
        f"--LabApp.workspaces_dir={workspaces}",
    ]
