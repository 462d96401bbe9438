"""Where a study is kept: in memory, in a journal file, or in a database.

A journal is a text file with one line for each thing that happened. Any number of
processes, on all machines that see the file, may add lines to it. Optuna does the work;
here stand the checks, and messages that say what to do.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_lessons.arguments import LessonsError

if TYPE_CHECKING:
    import optuna

JOURNAL = "journal://"


class StudyError(LessonsError, ValueError):
    """A study cannot be opened, or is another one than was asked for."""


def open_storage(storage: "str | optuna.storages.BaseStorage | None") -> Any:
    """Return what Optuna keeps a study in, from what `tune` is told; or say why not."""
    if not isinstance(storage, str | os.PathLike):
        return storage
    storage = os.fspath(storage)
    if storage.startswith(JOURNAL):
        path = Path(storage.removeprefix(JOURNAL)).expanduser().absolute()
        try:
            return _open_journal(path)
        except OSError as error:
            message = f"{path} cannot be written to: {error.strerror}."
            raise StudyError(message) from error
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
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        shown = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", storage)  # without its password
        raise StudyError(f"storage={shown!r}: {reason}") from error


def _open_journal(path: Path) -> Any:
    """Return a storage that keeps studies in this file; it is made if not there."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    class Lock(JournalFileOpenLock):
        """Whoever may write first clears away half a line of a killed process.

        Optuna would add its own line to that half, and then read neither.
        """

        def acquire(self) -> bool:
            acquired = super().acquire()
            content = path.read_bytes()
            if not content.endswith(b"\n"):
                os.truncate(path, content.rfind(b"\n") + 1)
            return acquired

    if not path.parent.is_dir():
        raise StudyError(f"There is no folder {path.parent}; make it first.")
    with path.open("ab+") as file:
        file.seek(0)
        first_line = file.readline()
    if first_line and b'"op_code"' not in first_line:
        raise StudyError(f"{path} is no journal of Optuna's; give another name.")
    lock = Lock(str(path))
    lock.acquire()
    lock.release()
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except (ValueError, LookupError, TypeError, AssertionError) as error:
        message = f"{path} is damaged: {error!r}. It was not changed."
        raise StudyError(message) from error
