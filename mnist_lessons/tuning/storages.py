"""Where a study is kept: in memory, in a journal file, or in a database.

A journal is a text file with one line for each thing that happened. Any number of
processes, on all machines that see the file, may add lines to it. Optuna does the work;
here stand the checks, and messages that say what to do.
"""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

JOURNAL = "journal://"


class StudyError(RuntimeError):
    """A study cannot be opened, or is another one than was asked for."""


def open_storage(storage: "str | optuna.storages.BaseStorage | None") -> Any:
    """Return what Optuna keeps a study in; `None` stays `None`, for memory.

    Args:
        storage: `journal:///folder/name.log` for a journal file, made if it is not
            there; the address of a database, such as `sqlite:///study.db`; or a storage
            of Optuna's.

    Raises:
        StudyError: it is not there, or damaged, or cannot be written to.
    """
    if isinstance(storage, os.PathLike):
        raise TypeError(
            f"storage is a path; write storage='{JOURNAL}{os.fspath(storage)}' to keep "
            "the study in this file."
        )
    if not isinstance(storage, str):
        return storage
    if storage.startswith(JOURNAL):
        return open_journal(Path(storage.removeprefix(JOURNAL)))
    if "://" not in storage:
        raise StudyError(
            f"storage={storage!r} is no address. Write {JOURNAL}{storage} to keep the "
            f"study in this file, or the address of a database: sqlite:///{storage}"
        )
    from optuna.storages import RDBStorage

    try:
        # seconds that a process waits while another one writes to an SQLite file
        options = {"timeout": 60} if storage.startswith("sqlite:") else {}
        return RDBStorage(storage, engine_kwargs={"connect_args": options})
    except Exception as error:  # each database has errors of its own
        why = str(error.__cause__ or error).strip().splitlines()[0]
        raise StudyError(f"storage={without_password(storage)!r}: {why}") from error


def open_journal(path: Path) -> Any:
    """Return a storage that keeps studies in this file; it is made if not there.

    Raises:
        StudyError: it is damaged or no journal, or cannot be written to.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    path = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 (keeps links)

    class Lock(JournalFileOpenLock):
        """Whoever may write first clears away half a line of a killed process.

        Optuna would add its own line to that half, and then read neither.
        """

        def acquire(self) -> bool:
            taken = super().acquire()
            try:
                cut_unfinished_line(path)
            except BaseException:
                self.release()
                raise
            return taken

    check_journal(path)
    try:
        lock = Lock(str(path))
        if not lock.acquire():
            raise OSError("it is locked")
        lock.release()
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except OSError as error:
        raise StudyError(f"{path} cannot be written to: {error.strerror}.") from error
    except Exception as error:  # lines that can be read and make no sense
        raise StudyError(
            f"{path} is damaged: {error!r}. It was not changed."
        ) from error


def check_journal(path: Path) -> None:
    """Make sure that the file is a journal, or that one can be made there.

    Raises:
        StudyError: it is another file, a folder, damaged, or cannot be written to.
    """
    if path.is_dir():
        raise StudyError(f"{path} is a folder; give the name of a file in it.")
    if path.exists() and not path.is_file():
        raise StudyError(f"{path} is a device, not a file; give another name.")
    if not path.parent.is_dir():
        raise StudyError(f"There is no folder {path.parent}; make it first.")
    try:
        with path.open("ab"):
            pass
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise StudyError(f"{path} cannot be written to: {error.strerror}.") from error
    for number, line in enumerate(lines, 1):
        # Optuna clears up the last line itself if a killed process left half of it
        whole = line.endswith(b"\n")
        try:
            good = "op_code" in json.loads(line) if whole else b'{"op_code"' in line
        except (ValueError, TypeError):
            good = False
        if good or (number > 1 and not whole):
            continue
        if number == 1:
            raise StudyError(f"{path} is no journal of Optuna's; give another name.")
        raise StudyError(
            f"{path} is damaged: line {number} of {len(lines)} cannot be read. Nothing "
            f"was changed. A copy of its first {number - 1} lines is a whole journal."
        )


def cut_unfinished_line(path: Path) -> None:
    """Remove what stands after the last whole line of a file."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        if not end:
            return
        file.seek(end - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def open_study(
    storage: Any, name: str, about: dict[str, Any], **options: Any
) -> "optuna.Study":
    """Begin a study, or join the one of this name; its best value is the largest.

    Args:
        storage: from `open_storage`.
        name: what the study is called in its storage.
        about: what all trials of the study have in common. They can only be compared
            if it is the same for each process that joins.
        options: further ones of `optuna.create_study`.

    Raises:
        StudyError: the study of this name is about something else.
    """
    import optuna

    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        **options,
    )
    known = study.user_attrs
    if [d.name for d in study.directions] != ["MAXIMIZE"] or (
        "model" not in known and study.get_trials(deepcopy=False)
    ):
        raise StudyError(
            f"The study {name!r} was not made by tune; give another study_name."
        )
    for key, value in about.items():
        if known.setdefault(key, value) != value:
            raise StudyError(
                f"The study {name!r} was begun with {key}={known[key]!r}, not "
                f"{value!r}: its trials could not be compared. Give the same, or "
                "another study_name."
            )
        if key not in study.user_attrs:
            study.set_user_attr(key, value)
    return study


def without_password(storage: str) -> str:
    """Return the address of a database as it may be shown."""
    return re.sub(r"(://[^:/@]*):.*@", r"\1:***@", storage)
