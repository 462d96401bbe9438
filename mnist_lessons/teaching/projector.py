"""JupyterLab for a projector: large type, one lesson, no side bars.

Settings and workspace lie in a folder of their own that goes when the server stops, so
those of the user stay as they are.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from mnist_lessons.teaching.lab import run_lab, served_folder
from mnist_lessons.teaching.lessons import lessons_named

HELP = """\
Open one lesson in JupyterLab for a lecture: large type, no side bars, no status bar.

It is the JupyterLab that you know, with sliders and drawing pad. Your own settings of
JupyterLab stay as they are, and what you change in the lesson is stored only if you
save it. Ctrl-C stops it."""

EXAMPLES = """\
examples:
  python -m mnist_lessons projector 03
  python -m mnist_lessons projector 03 --port=9000     other options go to JupyterLab
"""

# JupyterLab's own settings, by plugin; sizes are for 1280 x 720
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
SIDE: dict[str, Any] = {"collapsed": True, "visible": False}
WORKSPACE: dict[str, Any] = {
    "data": {"layout-restorer:data": {"left": SIDE, "right": SIDE}},
    "metadata": {"id": "default"},
}


def run_projector(lesson: str, options: list[str]) -> int:
    """Open a lesson for a projector; it returns when the server is stopped.

    Args:
        lesson: its number or name, as `lessons_named` takes it.
        options: options of JupyterLab.

    Raises:
        LessonError: if there is no such lesson.
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
