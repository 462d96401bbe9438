"""Opening the lessons in JupyterLab: `python -m mnist_lessons lab`."""

import os
import sys
from pathlib import Path

FIRST_LESSON = "01_data.ipynb"
NO_LESSONS = (
    f"Found no {FIRST_LESSON}. The lessons lie in the folder notebooks/ of the "
    "project, not in the installed package.\nGet the project as its README "
    "says, change into its folder (cd mnist-lessons) and run this again."
)

HELP = """\
Start JupyterLab on the lessons and open lesson 1.

The address to open is printed, and your browser opens it by itself where there is one.
Stop with Ctrl-C; what you changed in a notebook stays on disk once you save it."""

EXAMPLES = """\
Every other option goes to JupyterLab as it is (`jupyter lab --help` lists them):

  python -m mnist_lessons lab --port 9000       if the usual port does not suit you
  python -m mnist_lessons lab --no-browser      only print the address
  python -m mnist_lessons lab --ip 0.0.0.0      in a container whose port is published
"""


def run_lab(options: list[str]) -> int:
    """Start JupyterLab in this process; it returns when the server is stopped."""
    folder = find_lessons()
    if folder is None:
        print(NO_LESSONS, file=sys.stderr)
        return 1
    # here, because the import takes a second that --help need not wait for
    from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]

    print(f"Starting JupyterLab in {folder}; stop it with Ctrl-C.", flush=True)
    LabApp.launch_instance(argv=lab_options(folder, options))
    return 0


def find_lessons() -> Path | None:
    """Return the folder with the lessons: the checkout's own, else one close by."""
    checkout = Path(__file__).resolve().parents[2]
    for folder in (checkout / "notebooks", Path.cwd() / "notebooks", Path.cwd()):
        if (folder / FIRST_LESSON).is_file():
            return folder
    return None


def served_folder(lessons: Path) -> Path:
    """Return the project's folder where the lessons lie in it, else their own.

    The lessons link to the pages in docs/, and JupyterLab opens only what it serves.
    """
    project = lessons.parent
    return project if (project / "docs" / "glossary.md").is_file() else lessons


def lab_options(folder: Path, given: list[str]) -> list[str]:
    """Return options that make JupyterLab start without questions, then the given ones.

    Where both name the same option, the given one counts.
    """
    names = {option.split("=")[0] for option in given}
    # another folder is taken to hold copies of the lessons themselves
    root = folder if "--notebook-dir" in names else served_folder(folder)
    lesson = (folder / FIRST_LESSON).relative_to(root).as_posix()
    ours = [
        f"--notebook-dir={root}",
        f"--LabApp.default_url=/lab/tree/{lesson}",
        "-y",  # Ctrl-C stops the server without asking
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        ours.append("--allow-root")  # in a container; JupyterLab refuses otherwise
    if not has_display():
        ours.append("--no-browser")  # else a text browser takes over the terminal
    # JupyterLab prints the address on its own line only if it made the token; with
    # another token the address stands in the log, which is then needed
    if "JUPYTER_TOKEN" not in os.environ and not any("token" in o for o in given):
        ours.append("--log-level=WARN")
    return [option for option in ours if option.split("=")[0] not in names] + given


def has_display() -> bool:
    """Tell whether a browser can show itself; only on Linux may there be no screen.

    `BROWSER` counts: an editor that is connected from another machine sets it to a
    program that opens the page over there.
    """
    names = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return sys.platform != "linux" or any(os.environ.get(name) for name in names)
