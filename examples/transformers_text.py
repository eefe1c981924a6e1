"""Transformers: a tiny BERT learns that "not" turns a judgement round.

Shows ``TransformersRecorder`` as one more callback of the ``Trainer``, and how
text gets a map. Text has no coordinates, but the model computes with the
embeddings of its words, and these have. A sample is the sequence of embeddings
of a text, before positions are added (``inputs_embeds``), and ``Domain.through``
lays the plane through three of them:

    "the film was very good", "the film was very dull", "the film was not good"

Along x the fourth word stays and the last one turns from "good" into "dull";
along y "very" turns into "not". So "the film was not dull" is the fourth
corner, and the whole model, from embeddings to labels, is asked in between.
(The pooled embedding behind the encoder would be the wrong space: it is what the
encoder learns to change, so that a text would not stay where it is.) For the same
reason the embeddings of the words are not trained here.

Model and tokenizer are made on the spot; nothing is downloaded.

Run it (about 30 seconds):

    python examples/transformers_text.py --epochs 16
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

import trainviz as tv

OUT = Path(__file__).with_name("output")

NOUNS = ["film", "book", "play", "song", "meal", "game"]
ADVERBS = {"very": 1, "quite": 1, "so": 1, "really": 1, "not": -1, "never": -1}
ADJECTIVES = {
    "good": 1, "great": 1, "lovely": 1, "bright": 1, "dull": -1, "bad": -1, "boring": -1, "dim": -1,
}  # fmt: skip
NAMES = ["negative", "positive"]


def texts_and_labels() -> tuple[list[str], list[int]]:
    found = list(product(NOUNS, ADVERBS, ADJECTIVES))
    texts = [f"the {noun} was {adverb} {adjective}" for noun, adverb, adjective in found]
    return texts, [int(ADVERBS[adverb] * ADJECTIVES[last] > 0) for _, adverb, last in found]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer that gives every word a number."""
    words = ["the", "was", *NOUNS, *ADVERBS, *ADJECTIVES]
    numbers = {word: number for number, word in enumerate(["[UNK]", "[PAD]", *words])}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")


def make_model(tokenizer: PreTrainedTokenizerFast) -> BertForSequenceClassification:
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=8, num_labels=2,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.2,
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    # Otherwise the texts would move on the plane while the model learns.
    model.get_input_embeddings().requires_grad_(False)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="A tiny BERT learns what a negation does.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the films")
    parser.add_argument("--epochs", type=int, default=16)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    texts, labels = texts_and_labels()
    # All texts have five words, so that none needs padding or an attention mask.
    ids = tokenizer(texts, return_attention_mask=False)["input_ids"]
    dataset = [{"input_ids": row, "labels": label} for row, label in zip(ids, labels, strict=True)]

    corners = [f"the film was {a} {b}" for a, b in product(["very", "not"], ["good", "dull"])]
    with torch.no_grad():
        numbers = tokenizer(corners, return_tensors="pt")["input_ids"]
        embedded = model.get_input_embeddings()(numbers).numpy()
    domain = tv.Domain.through(*embedded[:3], resolution=200)
    recorder = tv.TransformersRecorder(
        domain, every_n_steps=3, data=(embedded, np.array([1, 0, 0, 1])), class_names=NAMES,
        evaluation="adaptive",
    )  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model,
            TrainingArguments(
                folder, num_train_epochs=args.epochs, per_device_train_batch_size=32,
                learning_rate=1e-3, logging_steps=3, save_strategy="no", report_to=[],
                disable_tqdm=True, use_cpu=True, seed=0,
            ),
            train_dataset=dataset,
            callbacks=[recorder],
        )  # fmt: skip
        trainer.train()

    film = tv.animate(
        recorder.recording, interpolate=3, interpolation="smooth", hold=1.5,
        title='"the film was ..."', subtitle="BERT 2 x 32, AdamW; word embeddings fixed",
        xlabel="good  \N{RIGHTWARDS ARROW}  dull", ylabel="very  \N{RIGHTWARDS ARROW}  not",
        highlight={k: " ".join(text.split()[3:]) for k, text in enumerate(corners)},
        anchors=False, metrics=["loss"],
    )  # fmt: skip
    print(film.save(args.out / "negation.mp4"))
    still = args.out / "negation.png"
    film.still(still)
    print(still)


if __name__ == "__main__":
    main()
