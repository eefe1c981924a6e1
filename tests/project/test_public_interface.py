"""What users call stays: names, parameters and defaults, as ``public_interface.txt`` lists them.

More may come: names, and parameters that have a default. What is removed or changed on
purpose is changed in that file too; ``python tests/project/test_public_interface.py`` prints
the interface as it is.
"""

import ast
import importlib
import inspect
import pickle
import pydoc
import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import trainviz as tv

MODULES = ("trainviz", "trainviz.modes", "trainviz.errors")
SPECIAL = {
    "__call__", "__contains__", "__enter__", "__eq__", "__exit__", "__getitem__", "__iter__",
    "__len__", "_repr_html_",
}  # fmt: skip
GOLDEN = Path(__file__).with_name("public_interface.txt")
LINES = GOLDEN.read_text().splitlines() if GOLDEN.exists() else []
CLASSES_AND_FUNCTIONS = [
    (module, name)
    for module in MODULES
    for name in importlib.import_module(module).__all__
    if name not in {"MODES", "__version__"}
]


def options_of(annotation):
    """Return the keys of a ``TypedDict`` in ``Unpack[...]``, or None."""
    found = re.search(r"Unpack\[(?:.*\.)?(\w+)\]", str(annotation))
    for name, module in sorted(sys.modules.items()):
        if found and name.startswith("trainviz") and hasattr(module, found[1]):
            return list(getattr(module, found[1]).__annotations__)
    return None


def spelled(function):
    """Return the parameters without their types; defaults that cannot be read back are ``...``."""
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        bare = parameter.replace(annotation=parameter.empty)
        if parameter.default is not parameter.empty and repr(parameter.default).startswith("<"):
            bare = bare.replace(default=...)
        options = options_of(parameter.annotation) if parameter.kind is bare.VAR_KEYWORD else None
        if options is None:
            parameters.append(bare)
        else:
            parameters += [
                inspect.Parameter(name, bare.KEYWORD_ONLY, default=...)
                for name in options
                if name not in inspect.signature(function).parameters
            ]
    return str(inspect.Signature(parameters)).replace("Ellipsis", "...")


def described(thing, name):
    """Return a name as a line of the file: with its parameters, if it has some."""
    try:
        return name + spelled(thing)
    except (TypeError, ValueError):
        return name


def defined_by(cls, attribute):
    return next(base for base in cls.__mro__ if attribute in vars(base))


def interface():
    """Return a line for each public name, and each public attribute of a public class."""
    lines = []
    for module in MODULES:
        names = importlib.import_module(module).__all__
        values = {name: getattr(importlib.import_module(module), name) for name in names}
        classes = {value for value in values.values() if inspect.isclass(value)}
        for name, value in values.items():
            lines.append(described(value, f"{module}.{name}"))
            for attribute in dir(value) if inspect.isclass(value) else ():
                if attribute.startswith("_") and attribute not in SPECIAL:
                    continue
                home = defined_by(value, attribute)
                # What a framework's base class has is no promise of ours.
                if home.__module__.startswith("trainviz") and home not in classes - {value}:
                    lines.append(
                        described(getattr(value, attribute), f"{module}.{name}.{attribute}")
                    )
    return lines


def parameters(line):
    """Return the positional parameters and the others, each with its default, and ``**``."""
    arguments = ast.parse(f"def f({line.partition('(')[2]}: pass").body[0].args
    names = [argument.arg for argument in arguments.posonlyargs + arguments.args]
    defaults = [None] * (len(names) - len(arguments.defaults)) + arguments.defaults
    keywords = zip((argument.arg for argument in arguments.kwonlyargs), arguments.kw_defaults)  # noqa: B905

    def readable(pairs):
        return {name: default and ast.unparse(default) for name, default in pairs}

    positional = readable(zip(names, defaults, strict=True))
    return positional, readable(keywords), arguments.kwarg is not None


@pytest.mark.parametrize("line", LINES, ids=[line.partition("(")[0] for line in LINES])
def test_a_name_can_be_used_as_before(line):
    name = line.partition("(")[0]
    module = max((m for m in MODULES if name.startswith(f"{m}.")), key=len)
    value = importlib.import_module(module)
    for attribute in name.removeprefix(f"{module}.").split("."):
        value = getattr(value, attribute)
    if "(" not in line:
        return
    positional, keywords, catches_all = parameters(line)
    positional_now, keywords_now, catches_all_now = parameters(described(value, name))
    assert list(positional_now)[: len(positional)] == list(positional)
    now = positional_now | keywords_now
    assert (positional | keywords).keys() <= now.keys()
    for parameter, default in (positional | keywords).items():
        assert "..." in (default, now[parameter]) or now[parameter] == default, parameter
    for parameter in now.keys() - positional.keys() - keywords.keys():
        assert now[parameter] is not None, f"{parameter} is new and must have a default"
    assert catches_all_now or not catches_all


def test_the_file_lists_every_public_name():
    listed = {line.partition("(")[0] for line in LINES}
    assert {f"{module}.{name}" for module, name in CLASSES_AND_FUNCTIONS} <= listed


@pytest.mark.parametrize(("module", "name"), CLASSES_AND_FUNCTIONS)
def test_help_explains_a_name(module, name):
    value = getattr(importlib.import_module(module), name)
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    assert len(own or "") > 20
    assert name in pydoc.render_doc(value, renderer=pydoc.plaintext)


def record_plainly(domain, options):
    recorder = tv.Recorder(domain, **options)
    recorder.capture(lambda X: X[:, 0] > 0, epoch=0)
    return recorder


def record_torch(domain, options):
    from torch import nn

    return tv.TorchRecorder(nn.Linear(2, 2), domain, **options).start()


def record_sklearn(domain, options):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit([[-1, 0], [1, 0]], [0, 1])
    recorder = tv.SklearnRecorder(model, domain, **options).start()
    recorder.epoch_end()
    return recorder


def record_lightning(domain, options):
    from lightning.pytorch import Trainer
    from lightning.pytorch.demos.boring_classes import BoringModel

    # The model has 32 features and can be pickled, as none can that is defined here.
    widened = partial(np.pad, pad_width=((0, 0), (0, 30)))
    recorder = tv.LightningRecorder(
        tv.Domain(domain.xlim, domain.ylim, points_per_axis=4, preprocess=widened), **options
    )
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(
        max_epochs=1, limit_train_batches=1, limit_val_batches=0, accelerator="cpu",
        callbacks=[recorder], enable_model_summary=False, **quiet,
    )  # fmt: skip
    trainer.fit(BoringModel())
    return recorder


def record_keras(domain, options):
    import keras

    layers = [keras.Input((2,)), keras.layers.Dense(2, activation="softmax")]
    model = keras.Sequential(layers)
    model.compile("sgd", "sparse_categorical_crossentropy")
    recorder = tv.KerasRecorder(domain, **options)
    X, y = np.ones((4, 2)), np.zeros(4)
    model.fit(X, y, epochs=1, verbose=0, callbacks=[recorder])
    return recorder


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize(
    "record", [record_plainly, record_torch, record_sklearn, record_lightning, record_keras]
)
def test_a_recorder_is_pickled_with_what_it_recorded(tmp_path, record, on_disk):
    domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=4)
    recorder = record(domain, {"path": tmp_path / "a.zarr"} if on_disk else {})
    twin = pickle.loads(pickle.dumps(recorder))
    expected = recorder.recording
    assert type(twin) is type(recorder)
    assert len(expected) >= 1
    assert twin.recording.epochs.tolist() == expected.epochs.tolist()
    assert (twin.recording[-1].probabilities == expected[-1].probabilities).all()


if __name__ == "__main__":
    print("\n".join(interface()))
