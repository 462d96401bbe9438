"""The lessons' notebooks: finding one, what its cells hold, and executing it."""

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnist_lessons.arguments import LessonsError

if TYPE_CHECKING:  # its import takes a second that the other commands need not wait for
    from nbformat import NotebookNode

FIRST_LESSON = "01_data.ipynb"
SOLUTION = re.compile(r"(?s)<details>\s*<summary>Solution</summary>(.*?)</details>\s*")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WIDGET = "application/vnd.jupyter.widget-view+json"
# what a piece says below its picture where its kernel is gone
NO_KERNEL = re.compile('<p class="mnist-lessons-still">.*?</p>')
IMAGE = re.compile(
    r'^<img alt="([^"]*)" width="(\d+)"[^>]* src="data:image/png;base64,([^"]*)">$'
)
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


class LessonError(LessonsError, ValueError):
    """A lesson is not there, or not written as CONTRIBUTING.md asks."""


def find_lessons() -> Path:
    """Return the folder with the lessons: the checkout's own, else one close by."""
    checkout = Path(__file__).resolve().parents[2]
    for folder in (checkout / "notebooks", Path.cwd() / "notebooks", Path.cwd()):
        if (folder / FIRST_LESSON).is_file():
            return folder
    raise LessonError(
        f"Found no {FIRST_LESSON}. The lessons lie in the folder notebooks/ of the "
        "project, not in the installed package.\nGet the project as its README "
        "says, change into its folder (cd mnist-lessons) and run this again."
    )


def lessons_named(name: str) -> list[Path]:
    """Return the notebooks of a lesson: one, or with "all" each of them, in order.

    The name is "03", "3", "03_mlp" or "03_mlp.ipynb"; else there is a `LessonError`.
    """
    paths = sorted(find_lessons().glob("[0-9][0-9]_*.ipynb"))
    stem = Path(name).name.removesuffix(".ipynb")
    named = [
        p for p in paths if stem in {"all", p.stem, p.stem[:2], p.stem[:2].lstrip("0")}
    ]
    if not named:
        names = ", ".join(path.stem for path in paths)
        raise LessonError(
            f"There is no lesson {name}. Give a number or a name: {names}."
        )
    return named


def read_lesson(path: Path) -> "NotebookNode":
    """Read a notebook as if it were stored by our tool, even if JupyterLab saved it.

    A `LessonError` says that the file does not hold one.
    """
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
    except ValueError as error:
        raise LessonError("the file is damaged, or no notebook") from error
    tidy(notebook)
    return notebook


def tags_of(cell: "NotebookNode") -> list[str]:
    """Return the tags of a cell; most have none."""
    return cell.metadata.get("tags", [])


class Exercise(NamedTuple):
    """Three cells in a row, and the code that solves the first."""

    stub: "NotebookNode"
    check: "NotebookNode"
    answer: "NotebookNode"  # hints and the solution, folded
    solution: str


def exercises_of(cells: list["NotebookNode"]) -> list[Exercise]:
    """Return the exercises among the cells of a lesson, in their order.

    A `LessonError` names the one that is not written as CONTRIBUTING.md says.
    """
    exercises = []
    for number, stub in enumerate(cells):
        if "exercise" not in tags_of(stub):
            continue
        after = cells[number + 1 : number + 3]
        folds = SOLUTION.findall(after[-1].source) if len(after) == 2 else []
        codes = [code for fold in folds for code in PYTHON.findall(fold)]
        if len(folds) != 1 or len(codes) != 1 or "check" not in tags_of(after[0]):
            begins = stub.source.partition("\n")[0]
            raise LessonError(
                f"the exercise that begins with `{begins}` needs a check in the next "
                "cell, and after it one fold called Solution with one python fence; "
                "CONTRIBUTING.md shows how under Exercises"
            )
        check, answer = after
        exercises.append(Exercise(stub, check, answer, codes[0].rstrip("\n")))
    return exercises


class StoredPicture(NamedTuple):
    """A picture of `plots` as a notebook stores it."""

    alt: str
    width: int  # in pixels of the page
    png: str  # the file in base64


def page_of(output: "NotebookNode") -> str:
    """Return the HTML of an output, empty where it has none."""
    return output.get("data", {}).get("text/html", "")


def picture_in(page: str) -> StoredPicture | None:
    """Return the picture that some HTML is, or `None` where it is something else."""
    image = IMAGE.match(page)
    return image and StoredPicture(html.unescape(image[1]), int(image[2]), image[3])


def execute(notebook: "NotebookNode", folder: Path, timeout: int) -> None:
    """Run all cells in that folder, in a fresh kernel, each for at most `timeout` s."""
    from nbclient import NotebookClient

    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,  # one output for text printed in several pieces
        record_timing=False,
        store_widget_state=False,
    )
    # nbclient follows what Output widgets print, and then may wait for ever (its issue
    # 312); without this table the text lands in the cell's own output
    client.widget_registry = {}
    client.execute()


def tidy(notebook: "NotebookNode") -> None:
    """Remove what would differ from run to run, or look wrong in a stored notebook."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.update(kernelspec=KERNEL, language_info={"name": "python"})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if not _is_progress_bar(o)]
            for output in cell.outputs:
                data = output.get("data", {})
                # what it refers to is gone; without it every reader shows the picture
                data.pop(WIDGET, None)
                # the bare PNG is a second copy where HTML has it with its alt text
                if "<img alt=" in data.get("text/html", "") and "image/png" in data:
                    del data["image/png"]
                    output.metadata.pop("image/png", None)
                if "text/html" in data:
                    data["text/html"] = NO_KERNEL.sub("", data["text/html"])
            cell.outputs = [o for o in cell.outputs if o.get("data") != {}]


def _is_progress_bar(output: "NotebookNode") -> bool:
    """Tell a tqdm bar, stored in its first state: a page shows it stuck at 0 %."""
    data = output.get("data", {})
    return WIDGET in data and bool(re.search(r"\d%\|", data.get("text/plain", "")))
