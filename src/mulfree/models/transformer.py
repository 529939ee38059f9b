"""The encoder-decoder Transformer of Vaswani et al., 2017, with the sizes of section 3.1 as defaults.

They are those of ``transformer_iwslt_de_en`` of fairseq (Ott et al., 2019): 6 + 6 layers, width 512, feed-forward 1024,
4 heads, ReLU, norms after the residual sums, sinusoidal positions, embeddings times sqrt(width), and a decoder whose
output layer is its embedding. All arithmetic is within ``forward`` of modules.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def sinusoids(length: int, width: int, padding: int) -> Tensor:
    """Rows ``(length, width)`` for positions: sines of all frequencies, then cosines; zero at ``padding``.

    The frequencies fall from 1 to 1/10000 (fairseq's layout of section 3.5 of Vaswani et al.).
    """
    half = width // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float64) * (-math.log(10000.0) / (half - 1)))
    angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies
    table = torch.cat([angles.sin(), angles.cos(), angles.new_zeros(length, width % 2)], 1)
    table[padding] = 0
    return table.float()


class Embedding(nn.Module):
    """Tokens to vectors: embedding times sqrt(width), plus the row of the token's position, then dropout.

    Positions count from ``padding + 1``; padding has the zero row.
    """

    def __init__(self, size: int, width: int, padding: int, dropout: float, longest: int) -> None:
        super().__init__()
        self.padding, self.scale = padding, math.sqrt(width)
        self.tokens = nn.Embedding(size, width, padding_idx=padding)
        self.dropout = nn.Dropout(dropout)
        self.table: Tensor
        self.register_buffer("table", sinusoids(longest + padding + 1, width, padding), persistent=False)
        nn.init.normal_(self.tokens.weight, std=width**-0.5)
        with torch.no_grad():
            self.tokens.weight[padding] = 0

    def forward(self, tokens: Tensor, before: int = 0) -> Tensor:
        """``(batch, length) -> (batch, length, width)``; ``before`` tokens came earlier, none of them padding."""
        present = tokens != self.padding
        positions = (present.cumsum(1) + before) * present + self.padding
        result: Tensor = self.dropout(self.tokens(tokens) * self.scale + self.table[positions])
        return result


class Attention(nn.Module):
    """Attention of several heads over other positions, or over earlier ones of the same sequence."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        for layer in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(layer.weight, gain=1 / math.sqrt(2))
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def keys_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, length, width) -> (batch, heads, length, width / heads)``, twice."""
        return self._split(self.key(x)), self._split(self.value(x))

    def _split(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        return x.reshape(batch, length, self.heads, width // self.heads).transpose(1, 2)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """Queries ``(batch, length, width)``; ``mask``, True where a key may be seen, broadcasts to scores."""
        mixed = F.scaled_dot_product_attention(self._split(self.query(x)), keys, values, mask, is_causal=causal)
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return result


class FeedForward(nn.Module):
    """Two linear layers with ReLU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.expand, self.contract = nn.Linear(width, hidden), nn.Linear(hidden, width)
        for layer in (self.expand, self.contract):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, length, width) ->`` the same shape."""
        result: Tensor = self.contract(F.relu(self.expand(x)))
        return result


class Residual(nn.Module):
    """``norm(x + dropout(y))``."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Two tensors ``(batch, length, width)``."""
        result: Tensor = self.norm(x + self.dropout(y))
        return result


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward layer."""

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.after_attention = Attention(width, heads), Residual(width, dropout)
        self.feed_forward, self.after_feed_forward = FeedForward(width, hidden), Residual(width, dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``(batch, length, width)`` and a mask of its keys."""
        x = self.after_attention(x, self.attention(x, *self.attention.keys_and_values(x), mask, False))
        result: Tensor = self.after_feed_forward(x, self.feed_forward(x))
        return result


class LayerCache:
    """Keys and values of one decoder layer: of the tokens so far, and of the source."""

    def __init__(self) -> None:
        self.own: tuple[Tensor, Tensor] | None = None
        self.source: tuple[Tensor, Tensor] | None = None

    def extended(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """With those of the newest token."""
        if self.own is not None:
            keys, values = torch.cat([self.own[0], keys], 2), torch.cat([self.own[1], values], 2)
        self.own = keys, values
        return self.own

    def select(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order."""
        if self.own is not None:
            self.own = self.own[0][rows], self.own[1][rows]
        if self.source is not None:
            self.source = self.source[0][rows], self.source[1][rows]


class DecoderLayer(nn.Module):
    """Self-attention over earlier tokens, attention over the source, and a feed-forward layer."""

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.after_attention = Attention(width, heads), Residual(width, dropout)
        self.source_attention, self.after_source_attention = Attention(width, heads), Residual(width, dropout)
        self.feed_forward, self.after_feed_forward = FeedForward(width, hidden), Residual(width, dropout)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor, cache: LayerCache | None) -> Tensor:
        """``(batch, length, width)``; with a cache, ``length`` is 1 and the earlier tokens are in it."""
        own = self.attention.keys_and_values(x)
        if cache is not None:
            own = cache.extended(*own)
        x = self.after_attention(x, self.attention(x, *own, None, cache is None))
        if cache is None or cache.source is None:
            source = self.source_attention.keys_and_values(memory)
            if cache is not None:
                cache.source = source
        else:
            source = cache.source
        x = self.after_source_attention(x, self.source_attention(x, *source, mask, False))
        result: Tensor = self.after_feed_forward(x, self.feed_forward(x))
        return result


class Encoder(nn.Module):
    """Source tokens to memory."""

    def __init__(self, embedding: Embedding, depth: int, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers = nn.ModuleList(EncoderLayer(width, hidden, heads, dropout) for _ in range(depth))

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, length)`` to memory ``(batch, length, width)`` and mask ``(batch, 1, 1, length)`` of its tokens."""
        mask = (source != self.embedding.padding)[:, None, None]
        x = self.embedding(source)
        for layer in self.layers:
            x = layer(x, mask)
        return x, mask


class Decoder(nn.Module):
    """Target tokens so far, and memory, to scores of the next ones."""

    def __init__(self, embedding: Embedding, depth: int, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers = nn.ModuleList(DecoderLayer(width, hidden, heads, dropout) for _ in range(depth))

    def forward(
        self, previous: Tensor, memory: Tensor, mask: Tensor, caches: list[LayerCache] | None = None, before: int = 0
    ) -> Tensor:
        """``(batch, length)`` to scores ``(batch, length, target size)``.

        With ``caches``, one for each layer, ``previous`` is the newest token only and ``before`` the number of those
        before it.
        """
        x = self.embedding(previous, before)
        for place, layer in enumerate(self.layers):
            x = layer(x, memory, mask, None if caches is None else caches[place])
        return F.linear(x, self.embedding.tokens.weight)


class Transformer(nn.Module):
    """Encoder and decoder.

    Args:
        source_size, target_size: numbers of tokens.
        width, hidden, heads, depth, dropout: as in section 3.1 by default.
        padding: the token that fills up short sequences, at their end.
        longest: greatest length of a sequence.
        shared: one embedding for both languages, which then have the same tokens.

    Raises:
        ValueError: ``width`` is not a multiple of ``heads``, or a shared embedding for different sizes.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        width: int = 512,
        hidden: int = 1024,
        heads: int = 4,
        depth: int = 6,
        dropout: float = 0.3,
        padding: int = 1,
        longest: int = 1024,
        shared: bool = False,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, got {width} and {heads}")
        if shared and source_size != target_size:
            raise ValueError(f"a shared embedding needs the same tokens, got {source_size} and {target_size}")
        source = Embedding(source_size, width, padding, dropout, longest)
        target = source if shared else Embedding(target_size, width, padding, dropout, longest)
        self.encoder = Encoder(source, depth, width, hidden, heads, dropout)
        self.decoder = Decoder(target, depth, width, hidden, heads, dropout)

    def forward(self, source: Tensor, previous: Tensor) -> Tensor:
        """``(batch, source length)`` and ``(batch, target length)`` to scores ``(batch, target length, target size)``.

        Scores at a place are those of the token after it.
        """
        memory, mask = self.encoder(source)
        scores: Tensor = self.decoder(previous, memory, mask)
        return scores
