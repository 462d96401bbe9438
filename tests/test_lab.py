"""`python -m mnist_lessons lab` and `projector`: their options, and a real server."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from unittest.mock import Mock

import pytest
from jupyterlab.labapp import LabApp
from lesson_cells import LESSONS

from mnist_lessons.teaching import lab, notebooks


@pytest.fixture
def plain_machine(monkeypatch):
    """An ordinary user on Linux, in front of a screen."""
    for name in ("WAYLAND_DISPLAY", "BROWSER", "JUPYTER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    return monkeypatch


def test_jupyterlab_is_given_our_options_then_those_typed(plain_machine, run):
    launch = Mock()
    plain_machine.setattr(LabApp, "launch_instance", launch)
    project = notebooks.find_lessons().parent
    assert (project / "pyproject.toml").is_file()  # lessons link to pages in docs/
    assert run("lab")[0] == 0
    assert launch.call_args.kwargs["argv"] == [
        f"--notebook-dir={project}",
        "--LabApp.default_url=/lab/tree/notebooks/01_data.ipynb",
        "-y",
        "--log-level=WARN",
    ]
    # JupyterLab refuses to start when an option with one value comes twice
    lesson = "--LabApp.default_url=/lab/tree/01_data.ipynb"
    for folder in (["--notebook-dir=/copies"], ["--notebook-dir", "/copies"]):
        typed = [*folder, "--port", "9000", "-y", "x.ipynb"]
        run(f"lab {' '.join(typed)}")
        assert launch.call_args.kwargs["argv"] == [lesson, "--log-level=WARN", *typed]


def test_the_machine_decides_about_root_browser_and_log(plain_machine, tmp_path):
    def has(option, *typed):
        return option in lab.lab_options(tmp_path, list(typed))

    assert not has("--allow-root")
    assert not has("--log-level=WARN", "--IdentityProvider.token=mine")
    plain_machine.setenv("JUPYTER_TOKEN", "mine")
    assert not has("--log-level=WARN")
    plain_machine.setattr(os, "geteuid", lambda: 0, raising=False)
    assert has("--allow-root")
    plain_machine.delattr(os, "geteuid")  # as on Windows
    assert not has("--allow-root")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        plain_machine.setenv(name, "something")
        assert not has("--no-browser")
        plain_machine.delenv(name)
    assert has("--no-browser")
    plain_machine.setattr(sys, "platform", "darwin")
    assert not has("--no-browser")


def test_lessons_are_found_in_the_checkout_or_close_by(monkeypatch, tmp_path, run):
    here = notebooks.find_lessons()
    monkeypatch.chdir(tmp_path)
    assert notebooks.find_lessons() == here
    # an installed package has no notebooks/ beside it
    monkeypatch.setattr(notebooks, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    for command in ("lab", "projector", "slides 3", "handout 3"):
        status, out, err = run(command)
        assert (status, out) == (1, "")
        assert "01_data.ipynb" in err
        assert "change into its folder" in err
    for folder in (tmp_path, tmp_path / "notebooks"):
        folder.mkdir(exist_ok=True)
        (folder / "01_data.ipynb").write_text("{}", encoding="utf-8")
        assert notebooks.find_lessons().samefile(folder)


def test_lessons_have_several_names_and_a_wrong_one_is_answered_with_them(run):
    for name in ("03", "3", "03_mlp", "03_mlp.ipynb", "notebooks/03_mlp.ipynb"):
        assert [path.stem for path in notebooks.lessons_named(name)] == ["03_mlp"]
    assert notebooks.lessons_named("all") == LESSONS
    for words in ("slides 0", "projector 003", "handout 1 mlp", "slides 03_cnn"):
        answer = f"There is no lesson {words.split()[-1]}. Give a number or a name: 01"
        status, out, err = run(words)
        assert (status, out, err[: len(answer)]) == (1, "", answer)
        assert "05_tuning" in err


def test_the_projector_has_settings_of_its_own(plain_machine, run):
    seen = {}

    def launch(argv):
        seen.update(o.lstrip("-").split("=", 1) for o in argv if "=" in o)
        settings = Path(seen["LabApp.user_settings_dir"]).rglob("*.*")
        assert "themes.jupyterlab-settings" in {path.name for path in settings}

    plain_machine.setattr(LabApp, "launch_instance", launch)
    for words, lesson in {"": "01_data", "3 --port=9000": "03_mlp"}.items():
        assert run(f"projector {words}")[0] == 0
        assert seen["LabApp.default_url"] == f"/doc/tree/notebooks/{lesson}.ipynb"
    assert (Path(seen["notebook-dir"]) / "notebooks" / "03_mlp.ipynb").is_file()
    assert seen["port"] == "9000"
    # they go with the server
    assert not Path(seen["LabApp.user_settings_dir"]).exists()


def test_a_real_server_opens_lesson_1_and_stops(tmp_path):
    log = tmp_path / "log.txt"
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    environment = {k: v for k, v in os.environ.items() if k != "JUPYTER_TOKEN"}
    environment |= {name: str(tmp_path / name) for name in names}
    command = [sys.executable, "-m", "mnist_lessons", "lab", "--no-browser"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        command += ["--ServerApp.ip=127.0.0.1", f"--port={free.getsockname()[1]}"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=output, stderr=output
        )
    try:
        host, path, token = address_in(log, server)
        assert path == "/lab/tree/notebooks/01_data.ipynb"
        page = urllib.request.urlopen(f"{host}{path}?{token}", timeout=120)
        assert b"jupyter-config-data" in page.read()
        lesson = f"{host}/api/contents/notebooks/01_data.ipynb?content=0&"
        assert urllib.request.urlopen(lesson + token, timeout=120).status == 200
        with pytest.raises(urllib.error.HTTPError):  # the token is what protects it
            urllib.request.urlopen(lesson, timeout=120)
        # Ctrl-C; Windows can send that only to all programs of a console
        server.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        status = server.wait(120)
        assert "Traceback" not in log.read_text(encoding="utf-8")
        assert os.name != "posix" or status == 0
    finally:
        server.kill()
        server.wait()


def address_in(log, server):
    """Return the address that the server prints: host, path and token."""
    end = time.monotonic() + 500  # beside much other work
    while time.monotonic() < end and server.poll() is None:
        text = log.read_text(encoding="utf-8")
        if address := re.search(r"(http://127.0.0.1:\d+)(/lab\S*)\?(token=\w+)", text):
            return address.groups()
        time.sleep(0.2)
    pytest.fail(f"JupyterLab printed no address:\n{log.read_text(encoding='utf-8')}")
