"""`python -m mnist_lessons projector`: what it asks of JupyterLab; no browser."""

from pathlib import Path

from mnist_lessons.teaching import lab, projector


def test_the_lesson_opens_alone_with_settings_of_its_own(monkeypatch, run):
    seen = {}

    def run_lab(options):
        told = dict(o.lstrip("-").split("=", 1) for o in options if "=" in o)
        seen.update(told)
        seen["files"] = {
            path.name for path in Path(told["LabApp.user_settings_dir"]).rglob("*.*")
        }
        return 0

    monkeypatch.setattr(projector, "run_lab", run_lab)
    assert run("projector 3 --port=9000")[0] == 0
    assert seen["LabApp.default_url"] == "/doc/tree/notebooks/03_mlp.ipynb"
    assert seen["port"] == "9000"
    assert "themes.jupyterlab-settings" in seen["files"]
    # they go with the server
    assert not Path(seen["LabApp.user_settings_dir"]).exists()


def test_the_first_lesson_opens_if_none_is_named(monkeypatch, run):
    monkeypatch.setattr(projector, "run_lab", lambda options: print(options[0]) or 0)
    assert "/doc/tree/notebooks/01_data.ipynb" in run("projector")[1]


def test_the_address_names_a_file_of_the_folder_that_is_served(tmp_path):
    lessons = lab.find_lessons()
    ours = projector.projector_options(lessons / "03_mlp.ipynb", tmp_path)
    given = lab.lab_options(lessons, ours)
    told = dict(o.lstrip("-").split("=", 1) for o in given if "=" in o)
    opened = told["LabApp.default_url"].removeprefix("/doc/tree/")
    assert (Path(told["notebook-dir"]) / opened).is_file()


def test_a_lesson_that_is_not_there_is_an_error(run):
    status, _, error = run("projector 12")
    assert status == 1
    assert "no lesson 12" in error
