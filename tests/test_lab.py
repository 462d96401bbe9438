"""`python -m mnist_lessons lab`: the options it chooses, and a real server."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from mnist_lessons import __main__ as command_line
from mnist_lessons.teaching import lab

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


@pytest.fixture
def plain_machine(monkeypatch):
    """An ordinary user on Linux, in front of a screen."""
    for name in (*SCREENS, "JUPYTER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    return monkeypatch


def test_lab_serves_the_folder_and_opens_lesson_1(plain_machine, tmp_path):
    options = lab.lab_options(tmp_path, [])
    assert f"--notebook-dir={tmp_path}" in options
    assert "--LabApp.default_url=/lab/tree/01_data.ipynb" in options
    assert "-y" in options
    assert not {"--allow-root", "--no-browser"} & set(options)


def test_lab_serves_the_pages_that_the_lessons_link_to(plain_machine):
    lessons = lab.find_lessons()
    options = lab.lab_options(lessons, [])
    assert f"--notebook-dir={lessons.parent}" in options
    assert "--LabApp.default_url=/lab/tree/notebooks/01_data.ipynb" in options
    elsewhere = lab.lab_options(lessons, ["--notebook-dir=/copies"])
    assert "--LabApp.default_url=/lab/tree/01_data.ipynb" in elsewhere


def test_root_is_allowed_only_as_root(plain_machine, tmp_path):
    plain_machine.setattr(os, "geteuid", lambda: 0, raising=False)
    assert "--allow-root" in lab.lab_options(tmp_path, [])
    plain_machine.delattr(os, "geteuid")  # as on Windows
    assert "--allow-root" not in lab.lab_options(tmp_path, [])


def test_no_browser_without_a_screen(plain_machine, tmp_path):
    plain_machine.delenv("DISPLAY")
    assert "--no-browser" in lab.lab_options(tmp_path, [])
    plain_machine.setattr(sys, "platform", "darwin")
    assert "--no-browser" not in lab.lab_options(tmp_path, [])


@pytest.mark.parametrize("name", SCREENS)
def test_a_browser_where_one_can_show_itself(plain_machine, tmp_path, name):
    plain_machine.delenv("DISPLAY")
    plain_machine.setenv(name, "something")
    assert "--no-browser" not in lab.lab_options(tmp_path, [])


@pytest.mark.parametrize(
    "given", [["--notebook-dir=/elsewhere"], ["--notebook-dir", "/elsewhere"]]
)
def test_given_options_come_last_and_win(plain_machine, tmp_path, given):
    # JupyterLab refuses to start when an option with one value comes twice
    options = lab.lab_options(tmp_path, [*given, "--port", "9000"])
    assert options[-len(given) - 2 :] == [*given, "--port", "9000"]
    assert not any(str(tmp_path) in option for option in options)


def test_the_log_is_quiet_only_while_the_address_is_printed(plain_machine, tmp_path):
    assert "--log-level=WARN" in lab.lab_options(tmp_path, [])
    given = ["--IdentityProvider.token=mine"]
    assert "--log-level=WARN" not in lab.lab_options(tmp_path, given)
    plain_machine.setenv("JUPYTER_TOKEN", "mine")
    assert "--log-level=WARN" not in lab.lab_options(tmp_path, [])


def test_lessons_are_found_in_the_checkout_first(monkeypatch, tmp_path):
    here = lab.find_lessons()
    assert here is not None
    assert (here.parent / "pyproject.toml").is_file()
    # the same from any folder
    monkeypatch.chdir(tmp_path)
    assert lab.find_lessons() == here


@pytest.mark.parametrize("place", ["notebooks", "."])
def test_lessons_are_found_from_the_current_folder(monkeypatch, tmp_path, place):
    # an installed package has no notebooks/ beside it
    monkeypatch.setattr(lab, "__file__", str(tmp_path / "site" / "pkg" / "lab.py"))
    lesson = tmp_path / "work" / place / "01_data.ipynb"
    lesson.parent.mkdir(parents=True)
    lesson.write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "work")
    found = lab.find_lessons()
    assert found is not None
    assert found.samefile(lesson.parent)


def test_without_lessons_the_message_says_what_to_do(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(lab, "__file__", str(tmp_path / "site" / "pkg" / "lab.py"))
    monkeypatch.chdir(tmp_path)
    assert command_line.main(["lab"]) == 1
    message = capsys.readouterr().err
    assert "01_data.ipynb" in message
    assert "change into its folder" in message


def test_other_options_reach_jupyterlab(monkeypatch):
    seen = []
    monkeypatch.setattr(command_line, "run_lab", lambda others: seen.append(others))
    command_line.main(["lab", "--port", "9000", "--no-browser", "x.ipynb"])
    assert seen == [["--port", "9000", "--no-browser", "x.ipynb"]]


def test_help_shows_how_to_start(capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(["lab", "--help"])
    assert stop.value.code == 0
    assert "python -m mnist_lessons lab --port 9000" in capsys.readouterr().out


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for_address(log, server, seconds=120):
    """Return the address that the server prints, without and with its token."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        text = log.read_text(encoding="utf-8")
        found = re.search(r"(http://127\.0\.0\.1:\d+)(/lab\S*)\?(token=\w+)", text)
        if found:
            return found.groups()
        time.sleep(0.2)
    pytest.fail(f"JupyterLab printed no address:\n{log.read_text(encoding='utf-8')}")


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
        host, path, token = wait_for_address(log, server)
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
