"""Transformers: a callback in a real ``Trainer``, with a tiny BERT and texts of two words."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    EarlyStoppingCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging

import trainviz as tv

logging.set_verbosity_error()

RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 9, size=(24, 2))
Y = (IDS[:, 0] + IDS[:, 1]) % 3
ROWS = [
    {"input_ids": row.tolist(), "labels": int(label)} for row, label in zip(IDS, Y, strict=True)
]


def bert(seed=0, n_labels=3):
    set_seed(seed)
    return BertForSequenceClassification(BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        num_labels=n_labels, intermediate_size=8, max_position_embeddings=4, initializer_range=0.3,
    ))  # fmt: skip


def embedded(model, ids=IDS):
    with torch.no_grad():
        return model.get_input_embeddings()(torch.tensor(ids)).numpy()


def domain_of(model, **options):
    return tv.Domain.through(*embedded(model)[:3], resolution=(7, 9), **options)


DOMAIN = domain_of(bert())


class Trained:
    """A trainer that has trained, in a folder of its own."""

    def __init__(self, folder, *callbacks, model=None, resume=None, **options):
        chosen = {
            "num_train_epochs": 3, "per_device_train_batch_size": 8, "learning_rate": 0.05,
            "logging_strategy": "epoch", "save_strategy": "no", "report_to": [], "use_cpu": True,
            "disable_tqdm": True, "dataloader_pin_memory": False, **options,
        }  # fmt: skip
        self.model = bert() if model is None else model
        self.trainer = Trainer(
            self.model, TrainingArguments(str(folder), **chosen), train_dataset=ROWS,
            eval_dataset=ROWS, callbacks=list(callbacks),
            compute_metrics=lambda found: {
                "accuracy": (found.predictions.argmax(1) == found.label_ids).mean()
            },
        )  # fmt: skip
        self.trainer.train(resume_from_checkpoint=resume)

    @property
    def map(self):
        """What the model answers on the grid."""
        points = torch.tensor(DOMAIN.points(), dtype=torch.float32)
        with torch.no_grad():
            odds = self.model.eval()(inputs_embeds=points).logits.softmax(1)
        return odds.numpy().T.reshape(-1, 7, 9)


@pytest.fixture(autouse=True)
def silent(capsys):
    """The trainer prints what it logs."""
    yield
    capsys.readouterr()


@pytest.mark.parametrize("options", [{}, {"every_n_steps": 1}], ids=["epochs", "steps"])
def test_training_is_bit_identical_with_and_without_the_recorder(options, tmp_path):
    found = []
    for callbacks in ([], [tv.TransformersRecorder(DOMAIN, data=(embedded(bert()), Y), **options)]):
        made = Trained(tmp_path, *callbacks, eval_strategy="epoch")
        streams = torch.rand(3).tolist(), random.random(), np.random.random()  # noqa: NPY002
        logs = [{k: v for k, v in row.items() if "_per_second" not in k and "_runtime" not in k}
                for row in made.trainer.state.log_history]  # fmt: skip
        found.append((made.model.state_dict(), logs, streams))
    for name, before in found[0][0].items():
        assert torch.equal(before, found[1][0][name])
    assert found[0][1:] == found[1][1:]
    assert len(callbacks[0].recording) >= 4


@pytest.mark.parametrize("background", [False, True])
def test_the_map_is_the_models_own_answer_at_embeddings(tmp_path, background):
    model = bert()
    model.get_input_embeddings().requires_grad_(False)
    rec = tv.TransformersRecorder(DOMAIN, every=2, data=(embedded(model), Y), background=background)
    made = Trained(tmp_path, rec, model=model)
    assert rec.recording.epochs.tolist() == [0, 2, 3]
    assert rec.recording.steps.tolist() == [0, 6, 9]
    np.testing.assert_allclose(rec.recording[-1].probabilities, made.map, atol=1e-5)
    # The fixed embeddings of a text are the text: the model answers the same for both.
    with torch.no_grad():
        guesses = made.model.eval()(torch.tensor(IDS)).logits.argmax(1).numpy()
    assert (rec.recording[-1].data_predictions == guesses).all()


def test_metrics_of_an_epoch_come_after_its_end_and_are_kept_with_it(tmp_path):
    rec = tv.TransformersRecorder(DOMAIN, every=2)
    made = Trained(tmp_path, rec, eval_strategy="epoch")
    names = {"loss", "grad_norm", "learning_rate", "eval_loss", "eval_accuracy"}
    assert set(rec.recording.metrics) == names
    history = rec.recording.history
    assert history.epochs.tolist() == [0, 1, 2, 3]
    for name in names:
        wanted = [row[name] for row in made.trainer.state.log_history if name in row]
        assert history.metrics[name][1:].tolist() == pytest.approx(wanted)
        assert rec.recording.metrics[name][1:].tolist() == pytest.approx(wanted[1:])
    made.trainer.evaluate()
    assert rec.recording.history.epochs.tolist() == [0, 1, 2, 3]


def test_steps_are_captured_and_what_is_logged_at_them(tmp_path):
    rec = tv.TransformersRecorder(DOMAIN, every_n_steps=2)
    made = Trained(tmp_path, rec, num_train_epochs=2, logging_strategy="steps", logging_steps=2)
    assert rec.recording.steps.tolist() == [0, 2, 4, 6]
    assert rec.recording.epochs.tolist() == [0, 0, 1, 2]
    wanted = [row["loss"] for row in made.trainer.state.log_history if "loss" in row]
    assert rec.recording.metrics["loss"][1:].tolist() == pytest.approx(wanted)


def test_an_epoch_that_is_cut_short_does_not_count(tmp_path):
    rec = tv.TransformersRecorder(DOMAIN)
    made = Trained(tmp_path, rec, max_steps=5, gradient_accumulation_steps=1)
    assert rec.recording.epochs.tolist() == [0, 1, 1]
    assert rec.recording.steps.tolist() == [0, 3, 5]
    np.testing.assert_allclose(rec.recording[-1].probabilities, made.map, atol=1e-5)


@pytest.mark.parametrize("every", [1, 100])
def test_the_last_state_is_captured_and_then_the_best_that_is_loaded_again(tmp_path, every):
    rec = tv.TransformersRecorder(DOMAIN, every=every)
    made = Trained(
        tmp_path, rec, EarlyStoppingCallback(2), num_train_epochs=20, eval_strategy="epoch",
        save_strategy="epoch", load_best_model_at_end=True, metric_for_best_model="eval_loss",
        greater_is_better=True, save_total_limit=1,
    )  # fmt: skip
    last, best = round(made.trainer.state.epoch), made.trainer.state.best_global_step // 3
    assert last == best + 2 < 20
    assert rec.recording.epochs.tolist()[-2:] == [last, last]
    assert rec.recording[-1].weights_epoch == best
    np.testing.assert_allclose(rec.recording[-1].probabilities, made.map, atol=1e-5)
    assert np.abs(rec.recording[-2].probabilities - made.map).max() > 1e-3


def test_a_resumed_run_is_that_of_one_never_interrupted(tmp_path):
    options = {"save_strategy": "epoch", "num_train_epochs": 4, "lr_scheduler_type": "constant"}
    whole = tv.TransformersRecorder(DOMAIN, evaluation="dense")
    Trained(tmp_path / "whole", whole, **options)

    path, folder = tmp_path / "run.zarr", tmp_path / "parts"
    options["num_train_epochs"] = 3
    Trained(folder, tv.TransformersRecorder(DOMAIN, evaluation="dense", path=path), **options)
    again = tv.TransformersRecorder(DOMAIN, evaluation="dense", path=path, resume=True)
    options["num_train_epochs"] = 4
    Trained(folder, again, resume=str(folder / "checkpoint-6"), **options)
    recording = tv.open_recording(path)
    assert recording.epochs.tolist() == whole.recording.epochs.tolist() == [0, 1, 2, 3, 4]
    assert recording.steps.tolist() == [0, 3, 6, 9, 12]
    for one, other in zip(recording, whole.recording, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-3)
    assert recording.metrics["loss"][1:].tolist() == pytest.approx(
        whole.recording.metrics["loss"][1:].tolist()
    )


def test_a_second_train_goes_on_counting_and_another_model_has_another_recording(tmp_path):
    rec = tv.TransformersRecorder(DOMAIN)
    model = Trained(tmp_path, rec, num_train_epochs=2).model
    Trained(tmp_path, rec, model=model, num_train_epochs=1)
    assert rec.recording.epochs.tolist() == [0, 1, 2, 3]
    assert rec.recording.steps.tolist() == [0, 3, 6, 9]
    Trained(tmp_path, rec, model=bert(seed=5), num_train_epochs=1)
    assert [each.epochs.tolist() for each in rec.recordings] == [[0, 1, 2, 3], [0, 1]]


def test_a_recorder_that_is_given_twice_records_once(tmp_path):
    rec = tv.TransformersRecorder(DOMAIN)
    made = Trained(tmp_path, rec, rec)
    assert rec.recording.epochs.tolist() == [0, 1, 2, 3]
    losses = [row["loss"] for row in made.trainer.state.log_history if "loss" in row]
    assert rec.recording.metrics["loss"][1:].tolist() == pytest.approx(losses)


def test_ids_that_preprocess_returns_are_ids(tmp_path):
    def ids(points):
        return np.clip(np.rint(points), 0, 8).astype(np.int64)

    domain = tv.Domain((0, 8), (0, 8), shape=(9, 9), preprocess=ids)
    rec = tv.TransformersRecorder(domain, data=(IDS.astype(float), Y))
    made = Trained(tmp_path, rec, num_train_epochs=1)
    with torch.no_grad():
        guesses = made.model.eval()(torch.tensor(IDS)).logits.argmax(1).numpy()
    assert (rec.recording[-1].data_predictions == guesses).all()


def test_a_plain_module_is_asked_with_the_points(tmp_path):
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 3)

        def forward(self, x, labels=None):
            logits = self.layer(x)
            if labels is None:
                return logits
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    rows = [
        {"x": row.astype(np.float32), "labels": label} for row, label in zip(IDS, Y, strict=True)
    ]
    rec = tv.TransformersRecorder(tv.Domain((0, 8), (0, 8), shape=(3, 3)))
    arguments = TrainingArguments(str(tmp_path), num_train_epochs=1, report_to=[], use_cpu=True,
                                  disable_tqdm=True, save_strategy="no")  # fmt: skip
    Trainer(Module(), arguments, train_dataset=rows, callbacks=[rec]).train()
    assert rec.recording.epochs.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"class_names": ["ash", "birch"]}, ValueError, "class_names"),
        ({"output": "probabilities"}, tv.PredictionError, 'output="logits"'),
    ],
)
def test_mistakes_are_told_before_the_first_step(tmp_path, options, error, message):
    rec, model = tv.TransformersRecorder(DOMAIN, **options), bert()
    before = json.dumps({k: v.tolist() for k, v in model.state_dict().items()})
    with pytest.raises(error, match=message):
        Trained(tmp_path, rec, model=model)
    assert json.dumps({k: v.tolist() for k, v in model.state_dict().items()}) == before


def test_what_is_not_callable_cannot_predict():
    with pytest.raises(TypeError, match="predict=3: expected a callable"):
        tv.TransformersRecorder(DOMAIN, predict=3)


RANKS = """
import sys
sys.path.insert(0, {folder!r})
import torch, test_transformers as t, trainviz as tv
bare = t.Trained("bare", ddp_backend="gloo").model.state_dict()
rec = tv.TransformersRecorder(t.DOMAIN, data=(t.embedded(t.bert()), t.Y), path="run.zarr")
made = t.Trained("recorded", rec, ddp_backend="gloo")
assert torch.distributed.get_world_size() == 2
assert all(torch.equal(bare[name], value) for name, value in made.model.state_dict().items())
if torch.distributed.get_rank() == 0:
    assert abs(rec.recording[-1].probabilities - made.map).max() < 1e-3
else:
    assert len(rec.recording) == len(rec.recording.history) == 0
"""


@pytest.mark.slow
def test_two_ranks_train_bit_identically_and_rank_zero_records(tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(RANKS.format(folder=str(Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         str(script)],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    recording = tv.open_recording(tmp_path / "run.zarr")
    assert recording.epochs.tolist() == [0, 1, 2, 3]
    # With two ranks of 8 texts an epoch of 24 has two steps.
    assert recording.steps.tolist() == [0, 2, 4, 6]
    assert np.isfinite(recording.metrics["loss"][1:]).all()
