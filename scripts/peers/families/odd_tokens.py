"""Small networks of tokens: heads that read several of them, pools by a query, the batch on another axis, recurrent ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES, WIDTH, HEADS, SIDE, PATCH = 7, 32, 4, 64, 8
TOKENS = (SIDE // PATCH) ** 2


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        return self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, WIDTH))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2, self.attention = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH), Attention()
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Tokens(nn.Module):
    """A vision transformer of three blocks, `read` some way."""

    def __init__(self, read: str, prefix: int = 1) -> None:
        super().__init__()
        self.read, self.prefix = read, prefix
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.first = nn.Parameter(torch.randn(1, max(prefix, 1), WIDTH))
        self.positions = nn.Parameter(torch.randn(1, TOKENS + prefix, WIDTH) / 5)
        self.blocks, self.norm = nn.Sequential(Block(), Block(), Block()), nn.LayerNorm(WIDTH)
        self.head = nn.Linear(2 * WIDTH if read == "token and mean" else WIDTH, CLASSES)
        self.second = nn.Linear(WIDTH, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(image).flatten(2).transpose(1, 2)
        if self.prefix:
            x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], 1)
        x = self.norm(self.blocks(x + self.positions))
        return READS[self.read](self, x)


READS = {
    "token and mean": lambda self, x: self.head(torch.cat([x[:, 0], x[:, self.prefix :].mean(1)], 1)),
    "token plus mean": lambda self, x: self.head(x[:, 0] + x[:, self.prefix :].mean(1)),
    "token head plus mean head": lambda self, x: self.head(x[:, 0]) + self.second(x[:, self.prefix :].mean(1)),
    "two tokens": lambda self, x: (self.head(x[:, 0]) + self.second(x[:, 1])) / 2,
    "patches": lambda self, x: self.head(x[:, self.prefix :].mean(1)),
    "all": lambda self, x: self.head(x.mean(1)),
    "largest": lambda self, x: self.head(x[:, self.prefix :].amax(1)),
    "last": lambda self, x: self.head(x[:, -1]),
    "cells": lambda self, x: self.head(x[:, self.prefix :].transpose(1, 2).unflatten(2, (8, 8)).mean((2, 3))),
    "weighed": lambda self, x: (self.head(x) * self.second(x)[..., :1].softmax(1)).sum(1),
}


class AxisOne(nn.Module):
    """torch's encoder, with the batch on axis 1 or 0, read as a mean or by its first token."""

    def __init__(self, *, batch_first: bool, token: bool) -> None:
        super().__init__()
        self.batch_first, self.token = batch_first, token
        self.patches, self.first = nn.Conv2d(3, WIDTH, PATCH, PATCH), nn.Parameter(torch.randn(WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, batch_first=batch_first, dropout=0.0)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(image).flatten(2)
        x = x.transpose(1, 2) if self.batch_first else x.permute(2, 0, 1)
        axis = 1 if self.batch_first else 0
        if self.token:
            x = torch.cat([self.first.expand_as(x.narrow(axis, 0, 1)), x], axis)
        x = self.encoder(x)
        return self.head(x.select(axis, 0) if self.token else x.mean(axis))


class Trunk(nn.Sequential):
    """Two convolutions: 8x8 cells of WIDTH channels."""

    def __init__(self, channels: int = 3, stride: int = 4) -> None:
        super().__init__(
            nn.Conv2d(channels, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, WIDTH, 5, stride, 2), nn.BatchNorm2d(WIDTH), nn.ReLU()
        )


class AttentionPool(nn.Module):
    """CLIP's AttentionPool2d: the mean of the cells asks them all."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.positions = Trunk(), nn.Parameter(torch.randn(TOKENS + 1, WIDTH) / 5)
        self.q, self.k, self.v, self.c = (nn.Linear(WIDTH, width) for width in (WIDTH, WIDTH, WIDTH, CLASSES))

    def forward(self, image: Tensor) -> Tensor:
        x = self.trunk(image).flatten(2).permute(2, 0, 1)
        x = torch.cat([x.mean(0, keepdim=True), x], 0) + self.positions[:, None]
        weights = {"q_proj_weight": self.q.weight, "k_proj_weight": self.k.weight, "v_proj_weight": self.v.weight}
        answer, _ = functional.multi_head_attention_forward(
            query=x[:1],
            key=x,
            value=x,
            embed_dim_to_check=WIDTH,
            num_heads=HEADS,
            in_proj_weight=None,
            in_proj_bias=torch.cat([self.q.bias, self.k.bias, self.v.bias]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.c.weight,
            out_proj_bias=self.c.bias,
            use_separate_proj_weight=True,
            training=False,
            need_weights=False,
            **weights,
        )
        return answer.squeeze(0)


class QueryPool(nn.Module):
    """SigLIP's head: one learned query asks the tokens, an MLP behind."""

    def __init__(self, *, blocks: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.blocks = nn.Sequential(Block(), Block()) if blocks else nn.Identity()
        self.query = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 64), nn.GELU(), nn.Linear(64, WIDTH))

    def forward(self, image: Tensor) -> Tensor:
        x = self.blocks(self.patches(image).flatten(2).transpose(1, 2))
        y = self.attention(self.query.expand(x.shape[0], -1, -1), x, x, need_weights=False)[0]
        return self.head((y + self.mlp(self.norm(y)))[:, 0])


class Recurrent(nn.Module):
    """A recurrent layer over rows of cells, their columns, or all cells, with a tenth of the trunk's operations."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU], over: str, *, last: bool) -> None:
        super().__init__()
        self.trunk, self.over, self.last = Trunk(), over, last
        self.layer = kind(WIDTH * 8 if over != "cells" else WIDTH, 6, batch_first=True, bidirectional=not last)
        self.head = nn.Linear(6 if last else 12, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        x = self.trunk(image)
        if self.over == "cells":
            x = x.flatten(2).transpose(1, 2)
        else:
            x = (x.permute(0, 2, 1, 3) if self.over == "rows" else x.permute(0, 3, 1, 2)).flatten(2)
        y, _ = self.layer(x)
        return self.head(y[:, -1] if self.last else y.mean(1))


NETWORKS = {
    "token_and_mean": lambda: Tokens("token and mean"),
    "token_plus_mean": lambda: Tokens("token plus mean"),
    "token_head_plus_mean_head": lambda: Tokens("token head plus mean head"),
    "two_tokens": lambda: Tokens("two tokens", 2),
    "registers_token_and_mean": lambda: Tokens("token and mean", 3),
    "registers_patches": lambda: Tokens("patches", 3),
    "mean_of_all_tokens": lambda: Tokens("all"),
    "largest_of_patches": lambda: Tokens("largest"),
    "last_token": lambda: Tokens("last"),
    "patches_as_cells": lambda: Tokens("cells"),
    "weighed_patches": lambda: Tokens("weighed"),
    "no_token": lambda: Tokens("patches", 0),
    "axis_one_mean": lambda: AxisOne(batch_first=False, token=False),
    "axis_one_token": lambda: AxisOne(batch_first=False, token=True),
    "encoder_mean": lambda: AxisOne(batch_first=True, token=False),
    "encoder_token": lambda: AxisOne(batch_first=True, token=True),
    "attention_pool": AttentionPool,
    "query_pool": lambda: QueryPool(blocks=False),
    "query_pool_of_blocks": lambda: QueryPool(blocks=True),
    "lstm_over_rows": lambda: Recurrent(nn.LSTM, "rows", last=False),
    "lstm_over_cells": lambda: Recurrent(nn.LSTM, "cells", last=True),
    "gru_over_columns": lambda: Recurrent(nn.GRU, "columns", last=True),
}
