"""karpathy/autoresearch's model and optimizer in PyTorch, for `train.py` and `tests/gpu` to measure ours against.

    peer_torch.py --depth 4 --width 128 --head-dim 32 --sequence 256 --rows 8 --vocab 1024 --threads 2 --seconds 20
    peer_torch.py --device cuda --mode compile --data data --rows 64 --accumulate 4
    peer_torch.py … --initial DIR     replay: the weights and the batches in DIR, one loss for each step

It trains his GPT (rotary positions, norms on queries and keys, gated value embeddings, residual lambdas, ReLU², capped
logits, sliding windows) with his MuonAdamW and his schedules, and prints one line of JSON. What differs from his
train.py: attention is PyTorch's own (`is_causal`, or a mask for the short windows) in place of FlashAttention 3; on a
CPU everything is float32, also what he keeps in bfloat16; the tokens are windows at random starts; `--mode eager`
leaves `torch.compile` out. The first steps, in which PyTorch compiles and warms up, are not timed. In a replay no time
counts towards the schedules, so its learning rates and weight decay stay the first step's.

A folder for a replay holds raw little-endian files: `batches.i32` and `targets.i32`, int32 `[steps, rows, sequence]`,
and each weight as `NAME.f32`, float32 by rows, `[in, out]`: embed, head, resid_lambdas, x0_lambdas, and of layer i q.i,
k.i, v.i, out.i, up.i, down.i, and where it has them value_embed.i and gate.i.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# His hyperparameters.
EMBEDDING_LR = 0.6
UNEMBEDDING_LR = 0.004
MATRIX_LR = 0.04
SCALAR_LR = 0.5
WEIGHT_DECAY = 0.2
ADAM_BETAS = (0.8, 0.95)
X0_BETAS = (0.96, 0.95)
# As ours; his is 1e-10.
EPSILON = 1e-7
WARMDOWN = 0.5
GATE_CHANNELS = 32
SOFTCAP = 15.0

# Steps that are not timed.
WARM_UP = {"cpu": 3, "cuda": 10}
LOSSES = 50
# Floating point operations each second in bfloat16, dense, by what is in the card's name.
PEAK_FLOPS = {"H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989.5e12, "H200": 989.5e12}

Batch = tuple[Tensor, Tensor]


# The model.


@dataclass(frozen=True)
class Config:
    """The model's sizes."""

    depth: int
    width: int
    head_dim: int
    kv_heads: int
    window_pattern: str
    sequence: int
    vocab: int

    @property
    def heads(self) -> int:
        """Number of query heads."""
        return self.width // self.head_dim

    def has_value_embedding(self, layer: int) -> bool:
        """Every other layer has one, the last always."""
        return layer % 2 == (self.depth - 1) % 2

    def window(self, layer: int) -> int:
        """How many tokens back a layer sees; the last sees all."""
        short = self.window_pattern[layer % len(self.window_pattern)] == "S" and layer < self.depth - 1
        return self.sequence // 2 if short else self.sequence


def norm(x: Tensor) -> Tensor:
    """RMS norm without a weight, in the precision of what comes in; from 2.12 on autocast would make it float32."""
    with torch.autocast(x.device.type, enabled=False):
        return F.rms_norm(x, (x.size(-1),))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, `[rows, sequence, heads, head_dim]`."""
    half = x.size(-1) // 2
    x1, x2 = x[..., :half], x[..., half:]
    return torch.cat([x1 * cos + x2 * sin, x1 * (-sin) + x2 * cos], 3)


linear = partial(nn.Linear, bias=False)


class Attention(nn.Module):
    """Causal attention with norms on queries and keys; values take a gated embedding of the token."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = config.heads, config.kv_heads, config.head_dim
        self.full = config.window(layer) >= config.sequence
        self.q = linear(config.width, config.heads * config.head_dim)
        self.k = linear(config.width, config.kv_heads * config.head_dim)
        self.v = linear(config.width, config.kv_heads * config.head_dim)
        self.out = linear(config.width, config.width)
        self.gate = linear(GATE_CHANNELS, config.kv_heads) if config.has_value_embedding(layer) else None

    def forward(self, x: Tensor, embedded: Tensor | None, cos: Tensor, sin: Tensor, short: Tensor) -> Tensor:
        rows, sequence, _ = x.size()
        q = self.q(x).view(rows, sequence, self.heads, self.head_dim)
        k = self.k(x).view(rows, sequence, self.kv_heads, self.head_dim)
        v = self.v(x).view(rows, sequence, self.kv_heads, self.head_dim)
        if embedded is not None and self.gate is not None:
            gate = 2 * torch.sigmoid(self.gate(x[..., :GATE_CHANNELS]))
            v = v + gate.unsqueeze(-1) * embedded.view_as(v)
        q, k = norm(rotate(q, cos, sin)), norm(rotate(k, cos, sin))
        mixed = self.attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), short)
        return self.out(mixed.transpose(1, 2).reshape(rows, sequence, -1))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, short: Tensor) -> Tensor:
        """Attention over all that came before, or over the short window."""
        if self.kv_heads != self.heads:
            k, v = (x.repeat_interleave(self.heads // self.kv_heads, dim=1) for x in (k, v))
        if self.full:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=short)


class Block(nn.Module):
    """Attention, then an MLP, each added to what came in."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.attention = Attention(config, layer)
        self.up = linear(config.width, 4 * config.width)
        self.down = linear(4 * config.width, config.width)

    def forward(self, x: Tensor, embedded: Tensor | None, cos: Tensor, sin: Tensor, short: Tensor) -> Tensor:
        x = x + self.attention(norm(x), embedded, cos, sin, short)
        return x + self.down(F.relu(self.up(norm(x))).square())


class Gpt(nn.Module):
    """His GPT."""

    cos: Tensor
    sin: Tensor
    short: Tensor

    def __init__(self, config: Config, dtype: torch.dtype) -> None:
        super().__init__()
        self.config = config
        kv_width = config.kv_heads * config.head_dim
        self.embed = nn.Embedding(config.vocab, config.width)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.depth))
        self.head = linear(config.width, config.vocab)
        self.resid_lambdas = nn.Parameter(torch.ones(config.depth))
        self.x0_lambdas = nn.Parameter(torch.full((config.depth,), 0.1))
        layers = filter(config.has_value_embedding, range(config.depth))
        self.value_embeds = nn.ModuleDict({str(layer): nn.Embedding(config.vocab, kv_width) for layer in layers})
        for name, buffer in self.positions(dtype).items():
            self.register_buffer(name, buffer, persistent=False)
        self.initialize()
        for embedding in [self.embed, *self.value_embeds.values()]:
            embedding.to(dtype=dtype)

    def positions(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """The rotary angles' cosines and sines, and who sees whom in a short window."""
        sequence, head_dim = self.config.sequence, self.config.head_dim
        at = torch.arange(sequence)
        angles = torch.outer(at.float(), 10000 ** -(torch.arange(0, head_dim, 2).float() / head_dim))
        back = at[:, None] - at[None, :]
        short = (back >= 0) & (back <= sequence // 2)
        return {"cos": angles.cos().to(dtype)[:, None, :], "sin": angles.sin().to(dtype)[:, None, :], "short": short}

    @torch.no_grad()
    def initialize(self) -> None:
        """His initial weights."""
        bound = (3 / self.config.width) ** 0.5
        nn.init.normal_(self.embed.weight)
        nn.init.normal_(self.head.weight, std=0.001)
        for block in self.blocks:
            for matrix in (block.attention.q, block.attention.k, block.attention.v, block.up):
                nn.init.uniform_(matrix.weight, -bound, bound)
            for matrix in (block.attention.out, block.down, block.attention.gate):
                if matrix is not None:
                    nn.init.zeros_(matrix.weight)
        for embedding in self.value_embeds.values():
            nn.init.uniform_(embedding.weight, -bound, bound)

    def flops_per_token(self) -> float:
        """His estimate of the operations, forward and backward."""
        matrices = sum(p.numel() for p in [*self.blocks.parameters(), *self.head.parameters()])
        windows = sum(self.config.window(layer) for layer in range(self.config.depth))
        return 6 * matrices + 12 * self.config.width * windows

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """The mean cross-entropy in nats."""
        x = x0 = norm(self.embed(tokens))
        for layer, block in enumerate(self.blocks):
            x = self.resid_lambdas[layer] * x + self.x0_lambdas[layer] * x0
            embedded = self.value_embeds[str(layer)](tokens) if str(layer) in self.value_embeds else None
            x = block(x, embedded, self.cos, self.sin, self.short)
        logits = self.head(norm(x)).float()
        logits = SOFTCAP * torch.tanh(logits / SOFTCAP)
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))


# The optimizer.

POLAR_EXPRESS = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]


def adamw_step(p: Tensor, grad: Tensor, mean: Tensor, square: Tensor, step: Tensor, lr: Tensor, beta1: Tensor,
               beta2: Tensor) -> None:
    """AdamW; he gives none of these parameters a weight decay."""
    mean.lerp_(grad, 1 - beta1)
    square.lerp_(grad.square(), 1 - beta2)
    denominator = (square / (1 - beta2**step)).sqrt() + EPSILON
    # Not `add_` with an `alpha`, which in eager mode would wait for the GPU.
    p.sub_(mean / denominator * (lr / (1 - beta1**step)))


def orthogonalize(g: Tensor, dtype: torch.dtype) -> Tensor:
    """Polar express: the nearest orthogonal matrices, by and large."""
    x = g.to(dtype)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-6)
    tall = g.size(-2) > g.size(-1)
    for a, b, c in POLAR_EXPRESS:
        gram = x.mT @ x if tall else x @ x.mT
        update = b * gram + c * (gram @ gram)
        x = a * x + (x @ update if tall else update @ x)
    return x


def muon_step(grads: Tensor, params: Tensor, momentum_buffer: Tensor, square_buffer: Tensor, momentum: Tensor,
              lr: Tensor, decay: Tensor, beta2: Tensor, dtype: torch.dtype, dim: int) -> None:
    """Muon with Nesterov momentum, NorMuon's variance reduction and cautious weight decay, for a stack of matrices."""
    momentum_buffer.lerp_(grads, 1 - momentum)
    g = orthogonalize(grads.lerp_(momentum_buffer, momentum), dtype)
    size = g.size(dim)
    square = g.float().square().mean(dim=dim, keepdim=True)
    before = (square.sum(dim=(-2, -1), keepdim=True) * size).sqrt()
    square_buffer.lerp_(square, 1 - beta2.to(g.dtype))
    scale = square_buffer.clamp_min(1e-10).rsqrt()
    after = (square * size * scale.square()).sum(dim=(-2, -1), keepdim=True).sqrt()
    g = g * (scale * (before / after.clamp_min(1e-10))).to(g.dtype)
    lr, decay = lr.to(g.dtype), decay.to(g.dtype)
    agrees = (g * params) >= 0
    params.sub_(lr * g + lr * decay * params * agrees)


@dataclass
class Adam:
    """A parameter of AdamW with its running means."""

    parameter: nn.Parameter
    initial_lr: float
    betas: tuple[float, float]

    def __post_init__(self) -> None:
        self.mean, self.square = torch.zeros_like(self.parameter), torch.zeros_like(self.parameter)


class Muon:
    """The matrices of one shape."""

    def __init__(self, matrices: list[nn.Parameter]) -> None:
        self.matrices = matrices
        count, (rows, columns) = len(matrices), matrices[0].shape
        tall = rows >= columns
        self.dim = -1 if tall else -2
        self.lr = MATRIX_LR * max(1.0, rows / columns) ** 0.5
        device = matrices[0].device
        self.momentum = torch.zeros(count, rows, columns, device=device)
        self.square = torch.zeros((count, rows, 1) if tall else (count, 1, columns), device=device)


class MuonAdamW:
    """Muon for the matrices, AdamW for everything else."""

    def __init__(self, model: Gpt, dtype: torch.dtype, compiled: bool) -> None:
        scale = (model.config.width / 768) ** -0.5
        groups = [
            ([model.head.weight], UNEMBEDDING_LR * scale, ADAM_BETAS),
            ([model.embed.weight, *model.value_embeds.parameters()], EMBEDDING_LR * scale, ADAM_BETAS),
            ([model.resid_lambdas], SCALAR_LR * 0.01, ADAM_BETAS),
            ([model.x0_lambdas], SCALAR_LR, X0_BETAS),
        ]
        self.adams = [Adam(parameter, lr, betas) for parameters, lr, betas in groups for parameter in parameters]
        matrices = list(model.blocks.parameters())
        shapes = sorted({matrix.shape for matrix in matrices})
        self.muons = [Muon([matrix for matrix in matrices if matrix.shape == shape]) for shape in shapes]
        self.dtype, self.steps = dtype, 0
        # Numbers that change go as 0-dimensional tensors, so that nothing is compiled again: his are on the CPU, which
        # only compiled code takes.
        device = torch.device("cpu") if compiled else model.head.weight.device
        self.numbers = {name: torch.zeros((), device=device)
                        for name in ("step", "lr", "beta1", "beta2", "momentum", "decay")}
        self.adamw_step: Callable[..., None] = adamw_step
        self.muon_step: Callable[..., None] = muon_step
        if compiled:
            self.adamw_step = torch.compile(adamw_step, dynamic=False, fullgraph=True)
            self.muon_step = torch.compile(muon_step, dynamic=False, fullgraph=True)

    def fill(self, **values: float) -> list[Tensor]:
        """Numbers as tensors."""
        return [self.numbers[name].fill_(value) for name, value in values.items()]

    @torch.no_grad()
    def step(self, lr: float, momentum: float, decay: float) -> None:
        """Changes every parameter by its gradient; `lr` multiplies every learning rate."""
        self.steps += 1
        for adam in self.adams:
            numbers = self.fill(step=self.steps, lr=adam.initial_lr * lr, beta1=adam.betas[0], beta2=adam.betas[1])
            self.adamw_step(adam.parameter, adam.parameter.grad, adam.mean, adam.square, *numbers)
        for muon in self.muons:
            numbers = self.fill(momentum=momentum, lr=muon.lr * lr, decay=decay, beta2=0.95)
            stacked = torch.stack(list(muon.matrices))
            grads = torch.stack([matrix.grad for matrix in muon.matrices if matrix.grad is not None])
            self.muon_step(grads, stacked, muon.momentum, muon.square, *numbers, self.dtype, muon.dim)
            torch._foreach_copy_(muon.matrices, list(stacked.unbind(0)))


# The data.


def random_batches(vocab: int, rows: int, sequence: int, seed: int) -> Iterator[Batch]:
    """Tokens that mean nothing."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        tokens = torch.randint(vocab, (rows, sequence + 1), generator=generator)
        yield tokens[:, :-1], tokens[:, 1:]


def data_batches(tokens: Tensor, rows: int, sequence: int, seed: int) -> Iterator[Batch]:
    """Windows at random starts."""
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.arange(sequence + 1)
    while True:
        starts = torch.randint(len(tokens) - sequence, (rows, 1), generator=generator)
        window = tokens[starts + offsets].long()
        yield window[:, :-1], window[:, 1:]


def replayed_batches(folder: Path, rows: int, sequence: int, accumulate: int) -> Iterator[Batch]:
    """What is in a replay's folder."""
    files = [np.fromfile(folder / name, dtype="<i4") for name in ("batches.i32", "targets.i32")]
    if files[0].size != files[1].size or files[0].size % (accumulate * rows * sequence):
        fail(f"{folder}: batches.i32 and targets.i32 hold {files[0].size} and {files[1].size} tokens, "
             f"not the same number of steps of {accumulate} × {rows} rows of {sequence}")
    inputs, targets = (torch.from_numpy(file.reshape(-1, rows, sequence).astype(np.int64)) for file in files)
    yield from zip(inputs, targets)


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a data folder says of itself."""
    try:
        return json.loads((folder / "manifest.json").read_text())
    except FileNotFoundError:
        fail(f"{folder} holds no manifest.json; prepare the data first: cargo run --release -p prepare")


def read_tokens(folder: Path, manifest: dict[str, Any], vocab: int, sequence: int) -> Tensor:
    """The train split."""
    shards = [np.fromfile(folder / shard["file"], dtype="<u2") for shard in manifest["train"]["shards"]]
    tokens = np.concatenate(shards)
    if tokens.size <= sequence:
        fail(f"{folder}: {tokens.size} tokens to train on, which is not one sequence of {sequence}")
    if tokens.max() >= vocab:
        fail(f"{folder}: token {tokens.max()} does not fit a vocabulary of {vocab}")
    return torch.from_numpy(tokens.astype(np.int32))


@torch.no_grad()
def load(model: Gpt, folder: Path) -> None:
    """Sets the weights to those of a replay's folder."""
    weights: dict[str, tuple[Tensor, bool]] = {
        "embed": (model.embed.weight, False),
        "head": (model.head.weight, True),
        "resid_lambdas": (model.resid_lambdas, False),
        "x0_lambdas": (model.x0_lambdas, False),
    }
    for layer, block in enumerate(model.blocks):
        matrices = {name: getattr(block.attention, name) for name in ("q", "k", "v", "out", "gate")}
        matrices |= {"up": block.up, "down": block.down}
        weights |= {f"{name}.{layer}": (matrix.weight, True) for name, matrix in matrices.items() if matrix is not None}
    weights |= {f"value_embed.{layer}": (embedding.weight, False) for layer, embedding in model.value_embeds.items()}
    for name, (weight, transposed) in weights.items():
        path = folder / f"{name}.f32"
        values = torch.from_numpy(np.fromfile(path, dtype="<f4"))
        shape = weight.shape[::-1] if transposed else weight.shape
        if values.numel() != weight.numel():
            fail(f"{path} holds {values.numel()} numbers; {list(shape)} are {weight.numel()}")
        values = values.view(shape)
        weight.copy_(values.T if transposed else values)


# The loop.


@dataclass
class Trained:
    """What a run has measured: the loss of each step, and the seconds of each after the warm-up."""

    losses: list[float]
    seconds: list[float]


def schedule(step: int, progress: float) -> dict[str, float]:
    """His schedules of the learning rates, Muon's momentum and its weight decay."""
    share = min(step / 300, 1)
    return {
        "lr": min(1.0, (1.0 - progress) / WARMDOWN),
        "momentum": (1 - share) * 0.85 + share * 0.95,
        "decay": WEIGHT_DECAY * (1 - progress),
    }


def train(model: Gpt, batches: Iterator[Batch], arguments: argparse.Namespace, dtype: torch.dtype) -> Trained:
    """Trains until the time is over, or the batches of a replay are."""
    device = torch.device(arguments.device)
    compiled = arguments.mode == "compile"
    optimizer = MuonAdamW(model, dtype, compiled)
    forward = torch.compile(model, dynamic=False) if compiled else model
    autocast = torch.amp.autocast("cuda", dtype=dtype) if arguments.device == "cuda" else contextlib.nullcontext()
    trained, budget = Trained([], []), math.inf if arguments.initial else arguments.seconds
    source = on_device(batches, device)
    batch, step = next(source, ()), 0
    while batch and sum(trained.seconds) < budget:
        began = time.perf_counter()
        loss = torch.zeros((), device=device)
        for _ in range(arguments.accumulate):
            with autocast:
                part = forward(*batch) / arguments.accumulate
            part.backward()
            loss += part.detach()
            batch = next(source, ())
        optimizer.step(**schedule(step, sum(trained.seconds) / budget))
        model.zero_grad(set_to_none=True)
        trained.losses.append(loss.item())
        if device.type == "cuda":
            torch.cuda.synchronize()
        if not trained.losses[-1] < 100:
            fail(f"the loss is {trained.losses[-1]} at step {step}: training diverged")
        if step >= WARM_UP[arguments.device]:
            trained.seconds.append(time.perf_counter() - began)
        elif step == 0:
            collect_no_garbage()
        step += 1
    return trained


def collect_no_garbage() -> None:
    """Python's collector costs half a second at a time, he says."""
    gc.collect()
    gc.freeze()
    gc.disable()


def on_device(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The batches where they are needed; the copies to a GPU are not waited for."""
    for batch in batches:
        pinned = [part.pin_memory() if device.type == "cuda" else part for part in batch]
        inputs, targets = (part.to(device, non_blocking=True).contiguous() for part in pinned)
        yield inputs, targets


def peak_memory_mb(device: str) -> float:
    """The most memory that was held: on a GPU by tensors, on a CPU by the process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def card_name(device: str) -> str:
    """The GPU, or the kernels that a CPU runs."""
    return torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.backends.cpu.get_cpu_capability()}"


def report(model: Gpt, trained: Trained, arguments: argparse.Namespace) -> dict[str, Any]:
    """What is printed."""
    tokens = arguments.rows * arguments.sequence * arguments.accumulate
    card, seconds, flops = card_name(arguments.device), trained.seconds, model.flops_per_token()
    overall = tokens * len(seconds) / sum(seconds) if seconds else None
    peak = next((flops for name, flops in PEAK_FLOPS.items() if name in card), None)
    return {
        "mode": arguments.mode,
        "tokens_per_second": tokens / statistics.median(seconds) if seconds else None,
        "tokens_per_second_overall": overall,
        "timed_steps": len(seconds),
        "tokens_per_step": tokens,
        "losses": trained.losses if arguments.initial else trained.losses[:LOSSES],
        "peak_memory_mb": peak_memory_mb(arguments.device),
        "flops_per_token": flops,
        "peak_flops": peak,
        "mfu_percent": 100 * flops * overall / peak if peak and overall else None,
        "num_params": sum(parameter.numel() for parameter in model.parameters()),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "card": card,
    }


def fail(message: str) -> NoReturn:
    """Ends with a message."""
    sys.exit(f"peer_torch: {message}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--head-dim", type=int, default=128)
    parser.add_argument("--kv-heads", type=int, help="key and value heads; as many as query heads, unless told")
    parser.add_argument("--window-pattern", default="SSSL", help="S sees half a sequence, L all of it")
    parser.add_argument("--sequence", type=int, default=2048)
    parser.add_argument("--rows", type=int, default=64, help="sequences in one forward pass")
    parser.add_argument("--accumulate", type=int, default=1, help="forward passes in one step")
    parser.add_argument("--vocab", type=int, help="number of token ids; the data's, unless told")
    parser.add_argument("--threads", type=int, help="of the CPU; PyTorch's choice, unless told")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to train, after the warm-up")
    parser.add_argument("--data", type=Path, help="a prepared data folder; random tokens, unless told")
    parser.add_argument("--initial", type=Path, help="a folder with weights and batches to replay")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", type=Path, help="a file for the JSON, beside the standard output")
    return checked(parser.parse_args())


def checked(arguments: argparse.Namespace) -> argparse.Namespace:
    """The command line with what follows from the rest, or the reason why it cannot be."""
    if arguments.width % arguments.head_dim or arguments.head_dim % 2:
        fail(f"a width of {arguments.width} is not a whole number of heads of an even {arguments.head_dim}")
    heads = arguments.width // arguments.head_dim
    arguments.kv_heads = arguments.kv_heads or heads
    if heads % arguments.kv_heads:
        fail(f"{heads} query heads cannot share {arguments.kv_heads} key heads")
    if not arguments.window_pattern or set(arguments.window_pattern) - set("SL"):
        fail(f"the window pattern is {arguments.window_pattern!r}, not a row of S and L")
    if arguments.width < GATE_CHANNELS:
        fail(f"the gates look at {GATE_CHANNELS} channels; a width of {arguments.width} has fewer")
    if arguments.vocab is None and arguments.data is None:
        fail("give --vocab, or --data")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        fail("PyTorch finds no CUDA device")
    return arguments


def main() -> None:
    """Trains, and prints what was measured."""
    arguments = parse()
    manifest = read_manifest(arguments.data) if arguments.data else {}
    vocab = arguments.vocab or manifest["vocab_size"]
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    torch.set_float32_matmul_precision("high")
    dtype = torch.bfloat16 if arguments.device == "cuda" else torch.float32
    config = Config(arguments.depth, arguments.width, arguments.head_dim, arguments.kv_heads, arguments.window_pattern,
                    arguments.sequence, vocab)
    model = Gpt(config, dtype).to(arguments.device)
    shape = (arguments.rows, arguments.sequence)
    if arguments.initial:
        load(model, arguments.initial)
        batches = replayed_batches(arguments.initial, *shape, arguments.accumulate)
    elif arguments.data:
        batches = data_batches(read_tokens(arguments.data, manifest, vocab, arguments.sequence), *shape, arguments.seed)
    else:
        batches = random_batches(vocab, *shape, arguments.seed)
    line = json.dumps(report(model, train(model, batches, arguments, dtype), arguments))
    print(line)
    if arguments.out:
        arguments.out.write_text(line + "\n")


if __name__ == "__main__":
    main()
