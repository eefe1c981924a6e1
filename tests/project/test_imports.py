"""What an import of trainviz costs, and what it says where a framework is missing."""

import ast
import inspect
import subprocess
import sys

import pytest

import trainviz

HEAVY = [
    "torch", "lightning", "pytorch_lightning", "keras", "tensorflow", "jax", "sklearn",
    "transformers", "xgboost", "lightgbm", "catboost", "skorch",
    "matplotlib", "moviepy", "PIL", "pandas", "zarr", "xarray", "fsspec", "numcodecs",
]  # fmt: skip


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_importing_and_recording_load_no_framework_and_no_renderer():
    done = run(
        "import sys, trainviz as tv\n"
        "recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=3))\n"
        "recorder.capture(lambda X: X[:, 0], epoch=0)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", trainviz.__all__)
def test_every_public_name_loads(name):
    assert getattr(trainviz, name) is not None
    assert name in dir(trainviz)


def test_every_public_name_is_imported_where_a_type_checker_looks():
    tree = ast.parse(inspect.getsource(trainviz))
    seen = {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }  # fmt: skip
    assert set(trainviz.__all__) - seen == set()


def test_unknown_names_are_no_attributes():
    with pytest.raises(AttributeError, match="module 'trainviz' has no attribute 'Film'"):
        trainviz.Film  # noqa: B018


@pytest.mark.parametrize(
    ("name", "blocked", "extra"),
    [
        ("TorchRecorder", ["torch"], "trainviz[torch]"),
        ("SklearnRecorder", ["sklearn"], "trainviz[sklearn]"),
        ("record_stages", ["sklearn"], "trainviz[sklearn]"),
        ("LightningRecorder", ["lightning", "pytorch_lightning"], "trainviz[lightning]"),
        ("KerasRecorder", ["keras"], "trainviz[keras]"),
        ("TransformersRecorder", ["transformers"], "trainviz[transformers]"),
        ("XGBoostRecorder", ["xgboost"], "trainviz[xgboost]"),
        ("LightGBMRecorder", ["lightgbm"], "trainviz[lightgbm]"),
        ("SkorchRecorder", ["skorch"], "trainviz[skorch]"),
        ("SklearnFitRecorder", ["sklearn"], "trainviz[sklearn]"),
    ],
)
def test_a_missing_framework_names_the_extra_to_install(name, blocked, extra):
    done = run(
        "import sys, trainviz\n"
        "class Missing:\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {blocked}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing)\n"
        f"try: trainviz.{name}\nexcept ImportError as error: print(error)"
    )
    assert f'pip install "{extra}"' in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("use", "blocked", "extra"),
    [
        ("trainviz.open_recording({path!r})", "numcodecs", "trainviz[zarr]"),
        ("trainviz.Recorder(domain, path={path!r} + 'new')", "numcodecs", "trainviz[zarr]"),
        ("trainviz.open_recording('memory://x')", "fsspec", "trainviz[zarr]"),
        ("trainviz.open_recording({path!r}).to_xarray()", "xarray", "trainviz[xarray]"),
        ("trainviz.open_recording({path!r}).widget()", "anywidget", "trainviz[notebook]"),
        (
            "trainviz.log_to('x', trainviz.open_recording({path!r}))",
            "tensorboard",
            "trainviz[tensorboard]",
        ),
        ("trainviz.log_to('wandb', trainviz.open_recording({path!r}))", "wandb", "trainviz[wandb]"),
        (
            "trainviz.log_to('mlflow', trainviz.open_recording({path!r}))",
            "mlflow",
            "trainviz[mlflow]",
        ),
    ],
)
def test_recordings_on_disk_name_the_extra_to_install(tmp_path, use, blocked, extra):
    path = str(tmp_path / "a.zarr")
    domain = trainviz.Domain((0, 1), (0, 1), points_per_axis=3)
    trainviz.Recorder(domain, path=path).capture(lambda X: X[:, 0], epoch=0)
    done = run(
        "import sys, trainviz\n"
        "class Missing:\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        if name.split('.')[0] == {blocked!r}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing)\n"
        "domain = trainviz.Domain((0, 1), (0, 1), points_per_axis=3)\n"
        f"try: {use.format(path=path)}\nexcept ImportError as error: print(error)"
    )
    assert f'pip install "{extra}"' in done.stdout, done.stderr
