"""
Sentences on a plane
====================

Sentences become vectors by counting their words, and a plane through the vectors' principal
directions shows the classifier among them. Sentences with words of two topics lie between the
clouds, where the map stays pale the longest.
"""

# %%
# Thirty-six small sentences of three topics, made of the topics' words, and three that mix two
# topics.

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from torch import nn

import trainviz as tv

words = {
    "kitchen": "soup salt bread oven butter pan onion garlic",
    "sea": "wave boat sail harbour tide anchor wind shore",
    "music": "violin chord tune drum choir song piano rhythm",
}
rng = np.random.default_rng(0)
sentences, y = [], []
for topic, names in enumerate(words):
    for _ in range(12):
        chosen = rng.choice(words[names].split(), 4, replace=False)
        sentences.append("the {} and the {} with the {} by the {}".format(*chosen))
        y.append(topic)
mixed = {
    "soup and bread on the boat": 0,
    "a song of wave and wind": 1,
    "a drum by the harbour with a tune": 2,
}
sentences, y = sentences + list(mixed), np.array(y + list(mixed.values()))

# %%
# The words' weights, reduced to ten numbers a sentence.

embed = make_pipeline(TfidfVectorizer(stop_words="english"), TruncatedSVD(10, random_state=0))
X = embed.fit_transform(sentences)

# %%
# The network takes all ten numbers; the plane is that of the first two principal components.

torch.manual_seed(0)
inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
model = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
domain = tv.Domain.principal(X, resolution=140)
with tv.TorchRecorder(model, domain, data=(X, y), class_names=list(words)) as recorder:
    for epoch in range(40):
        loss = nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recorder.epoch_end(epoch, loss=loss.item())

# %%
# Points are drawn fainter the farther they are from the plane.

last = len(sentences) - len(mixed)
tv.animate(
    recorder.recording, interpolate=4, hold=1.5, title="Three topics",
    highlight={last + k: text for k, text in enumerate(mixed)},
)  # fmt: skip
