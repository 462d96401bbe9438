"""Point everything at another repository: badges, set-up cells, pages, metadata.

    uv run python tools/set_repository.py https://github.com/ANNA/mnist-lessons

Run it in a fork, once, and commit what it changed. `[project.urls]` in pyproject.toml
says what the repository is until then. A second run changes nothing.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# where the address may stand; tests/test_repository.py looks for it everywhere else
PLACES = [
    *("*.md", "*.cff", "*.yml", "docs/**/*.md", "data/*.md", ".github/**/*.yml"),
    *("notebooks/*.ipynb", "mnist_lessons/**/*.py"),
    "pyproject.toml",  # last: a run that was broken off can then be repeated
]
ADDRESS = re.compile(
    r"https://github\.com/([A-Za-z\d](?:-?[A-Za-z\d]){0,38})/([\w.-]{1,100}?)(?:\.git)?/?",
    re.ASCII,
)


class AddressError(ValueError):
    """Not the address of a repository that the badges can point to."""


def parts_of(address: str) -> tuple[str, str]:
    """Return owner and name, as in https://github.com/owner/name.

    Raises:
        AddressError: it is anything else.
    """
    found = ADDRESS.fullmatch(address.strip())
    if found is None or found[2].strip(".") == "":
        raise AddressError(
            f"{address!r} is not the address of a repository. Give it as in "
            "https://github.com/ANNA/mnist-lessons: Colab and Binder open notebooks "
            "from there, so another host will not do."
        )
    return found[1], found[2]


def current(root: Path) -> str:
    """Return the address in `[project.urls]` of pyproject.toml."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]["urls"]["Repository"]


def replaced(text: str, old: tuple[str, str], new: tuple[str, str]) -> str:
    """Return the text with the new owner and name, where it had the old ones."""
    whole = r"(?<![\w.-]){}(?!\.?[\w-])"  # not a part of a longer name
    text = re.sub(whole.format(re.escape("/".join(old))), "/".join(new), text)
    # the folder that `git clone` makes has the repository's name
    return re.sub(r"\bcd " + whole.format(re.escape(old[1])), f"cd {new[1]}", text)


def set_repository(address: str, root: Path = ROOT) -> list[Path]:
    """Write the new address everywhere below `root`; return the files that changed.

    Raises:
        AddressError: the address is not one of a repository. Nothing is changed then.
    """
    new, old = parts_of(address), parts_of(current(root))
    changed = []
    for path in (path for place in PLACES for path in sorted(root.glob(place))):
        before = path.read_bytes()  # as text, it could lose its kind of line ends
        after = replaced(before.decode("utf-8"), old, new).encode("utf-8")
        if after != before:
            path.write_bytes(after)
            changed.append(path)
    return changed


def main(argv: list[str] | None = None) -> int:
    """Change the address, and say what was changed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address", help="https://github.com/OWNER/NAME")
    try:
        changed = set_repository(parser.parse_args(argv).address)
    except AddressError as error:
        print(error, file=sys.stderr)
        return 1
    for path in changed:
        print(path.relative_to(ROOT).as_posix())
    print(f"The repository is {current(ROOT)}; {len(changed)} files changed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
