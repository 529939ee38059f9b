"""Networks made of torch's own modules."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.third_party.support import check_life_of_a_conversion


def test_transformer() -> None:
    torch.manual_seed(0)
    model = torch.nn.Transformer(16, 2, 2, 2, 32, dropout=0.1, batch_first=True)
    source, target, wanted = torch.randn(3, 7, 16), torch.randn(3, 5, 16), torch.randn(3, 5, 16)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(5)
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[0, 5:] = True
    loss = torch.nn.MSELoss()

    class WithLoss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.loss = model, loss

        def forward(self) -> Tensor:
            out = self.model(
                source, target, tgt_mask=mask, tgt_is_causal=True, src_key_padding_mask=padding,
                memory_key_padding_mask=padding,
            )  # fmt: skip
            result: Tensor = self.loss(out, wanted)
            return result

    check_life_of_a_conversion(WithLoss(), lambda whole: whole())


class Classifier(torch.nn.Module):
    """Variable lengths, two directions, two layers."""

    def __init__(self, kind: type[torch.nn.RNNBase]) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(20, 8)
        self.recurrent = kind(8, 12, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1)
        self.head = torch.nn.Linear(24, 2)

    def forward(self, ids: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            self.embedding(ids), lengths, batch_first=True, enforce_sorted=False
        )
        out, _ = torch.nn.utils.rnn.pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)
        return torch.nn.functional.cross_entropy(self.head(out.mean(1)), labels)


def _check_recurrent(kind: type[torch.nn.RNNBase]) -> None:
    torch.manual_seed(0)
    ids, lengths, labels = torch.randint(20, (6, 9)), torch.tensor([9, 3, 5, 9, 1, 7]), torch.randint(2, (6,))
    check_life_of_a_conversion(Classifier(kind), lambda model: model(ids, lengths, labels), lr=1e-2)


def test_lstm() -> None:
    _check_recurrent(torch.nn.LSTM)


def test_gru() -> None:
    _check_recurrent(torch.nn.GRU)


def test_convolutional_network() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding="same"),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=2, padding_mode="circular"),
        torch.nn.GroupNorm(4, 16),
        torch.nn.SiLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Dropout(0.1),
        torch.nn.Linear(16, 4),
        torch.nn.LogSoftmax(-1),
    )
    images, labels = torch.randn(8, 3, 12, 12), torch.randint(4, (8,))

    class WithLoss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self) -> Tensor:
            return torch.nn.functional.nll_loss(self.model(images), labels)

    check_life_of_a_conversion(WithLoss(), lambda whole: whole(), lr=1e-2)
