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

import pytest
from jupyterlab.labapp import LabApp

from mnist_lessons.teaching import lab, notebooks


@pytest.fixture
def plain_machine(monkeypatch):
    """An ordinary user on Linux, in front of a screen."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "JUPYTER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    return monkeypatch


@pytest.fixture
def started(plain_machine, run):
    """`started("lab --port=9000")` returns the options that JupyterLab is given."""
    seen = []
    plain_machine.setattr(LabApp, "launch_instance", lambda argv: seen.extend(argv))

    def start(words):
        seen.clear()
        assert run(words)[0] == 0
        return list(seen)

    return start


def test_lab_serves_the_pages_that_lessons_link_to_and_opens_lesson_1(started):
    project = notebooks.find_lessons().parent
    assert (project / "pyproject.toml").is_file()
    assert started("lab") == [
        f"--notebook-dir={project}",
        "--LabApp.default_url=/lab/tree/notebooks/01_data.ipynb",
        "-y",
        "--log-level=WARN",
    ]


def test_typed_options_come_last_and_win(started):
    # JupyterLab refuses to start when an option with one value comes twice
    for words in ("--notebook-dir=/copies", "--notebook-dir /copies"):
        options = started(f"lab {words} --port 9000 -y x.ipynb")
        assert options[-len(words.split()) - 4 :] == [
            *(*words.split(), "--port", "9000", "-y", "x.ipynb")
        ]
        assert len([o for o in options if o.startswith(("--notebook-dir", "-y"))]) == 2
        assert "--LabApp.default_url=/lab/tree/01_data.ipynb" in options


def test_the_machine_decides_about_root_browser_and_log(plain_machine, tmp_path):
    def has(option, *typed):
        return option in lab.lab_options(tmp_path, list(typed))

    assert not has("--allow-root")
    assert not has("--no-browser")
    assert not has("--log-level=WARN", "--IdentityProvider.token=mine")
    plain_machine.setenv("JUPYTER_TOKEN", "mine")
    assert not has("--log-level=WARN")
    plain_machine.setattr(os, "geteuid", lambda: 0, raising=False)
    assert has("--allow-root")
    plain_machine.delattr(os, "geteuid")  # as on Windows
    assert not has("--allow-root")
    plain_machine.delenv("DISPLAY")
    assert has("--no-browser")
    for name in ("WAYLAND_DISPLAY", "BROWSER"):
        plain_machine.setenv(name, "something")
        assert not has("--no-browser")
        plain_machine.delenv(name)
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


def test_lessons_have_several_names():
    for name in ("03", "3", "03_mlp", "03_mlp.ipynb", "notebooks/03_mlp.ipynb"):
        assert [path.stem for path in notebooks.lessons_named(name)] == ["03_mlp"]
    names = [path.stem for path in notebooks.lessons_named("all")]
    assert names == sorted(names)
    assert names[0] == "01_data"


@pytest.mark.parametrize("command", ["slides", "projector", "handout 1"])
def test_a_lesson_that_is_not_there_is_named_with_those_that_are(command, run):
    for name in ("0", "003", "mlp", "03_cnn", "99"):
        status, out, err = run(f"{command} {name}")
        assert (status, out) == (1, "")
        assert err.startswith(f"There is no lesson {name}. Give a number or a name: 01")
        assert "05_tuning" in err


def test_the_projector_has_settings_of_its_own(plain_machine, run):
    seen = {}

    def launch(argv):
        seen.update(o.lstrip("-").split("=", 1) for o in argv if "=" in o)
        settings = Path(seen["LabApp.user_settings_dir"]).rglob("*.*")
        seen["files"] = {path.name for path in settings}

    plain_machine.setattr(LabApp, "launch_instance", launch)
    assert run("projector")[0] == 0
    assert seen["LabApp.default_url"] == "/doc/tree/notebooks/01_data.ipynb"
    assert run("projector 3 --port=9000")[0] == 0
    opened = seen["LabApp.default_url"].removeprefix("/doc/tree/")
    assert opened == "notebooks/03_mlp.ipynb"
    assert (Path(seen["notebook-dir"]) / opened).is_file()
    assert seen["port"] == "9000"
    assert "themes.jupyterlab-settings" in seen["files"]
    # they go with the server
    assert not Path(seen["LabApp.user_settings_dir"]).exists()


def test_a_real_server_opens_lesson_1_and_stops(tmp_path):
    log = tmp_path / "log.txt"
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    environment = {k: v for k, v in os.environ.items() if k != "JUPYTER_TOKEN"}
    environment |= {name: str(tmp_path / name) for name in names}
    command = [sys.executable, "-m", "mnist_lessons", "lab", "--no-browser"]
    command += ["--ServerApp.ip=127.0.0.1", f"--port={free_port()}"]
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


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def address_in(log, server):
    """Return the address that the server prints: host, path and token."""
    end = time.monotonic() + 500  # beside much other work
    while time.monotonic() < end and server.poll() is None:
        text = log.read_text(encoding="utf-8")
        if address := re.search(r"(http://127.0.0.1:\d+)(/lab\S*)\?(token=\w+)", text):
            return address.groups()
        time.sleep(0.2)
    pytest.fail(f"JupyterLab printed no address:\n{log.read_text(encoding='utf-8')}")
