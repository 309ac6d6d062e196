"""The torch engine's forward, backward and Adam in PyTorch, on a GPU if one is available.

This engine is for models too large for a single CPU core. The values are stored in flat tensors on the device. Reading
a buffer (`params`, `grads`, `m`, `v`) copies it to Python. The owner may write to this copy, so it is copied back
before the next computation. Training by itself does not copy the buffers.
"""

from __future__ import annotations

import functools
import math
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar

from microgpt.config import Config, initial_std, num_params, offsets, shapes
from microgpt.engines.base import Engine, Tokens, check_batch, check_tokens, groups, parts, truncated
from microgpt.system.memory import free_memory, peak_memory, too_large_message
from microgpt.system.text import size

try:
    import torch
    from torch import Tensor
    from torch.optim.adamw import adamw

    from microgpt.engines.torch.decoding import TorchDecoder, TorchStreams, full_context_message
    from microgpt.engines.torch.device import PEAKS, choose_device, describe, has_gpu
    from microgpt.engines.torch.distributed import Ranks
    from microgpt.engines.torch.model import IGNORED, Memory, Model, loss, token_losses
except (ImportError, OSError) as error:  # OSError: PyTorch's libraries do not match this system
    raise ImportError(f"the torch engine needs PyTorch: pip install torch ({error})") from error

PRECISIONS = ("float32", "float64", "bfloat16")
BUFFERS = ("params", "grads", "m", "v")
# AT_ONCE: the target size of the largest tensor, in elements, when documents are evaluated on a CPU: small enough for
# the CPU's caches. The target on a GPU is 16 times as large. READ_AHEAD: the number of batches to read ahead, so that
# documents of similar length can be batched together
AT_ONCE, READ_AHEAD = 1 << 22, 8
SMALL = 100_000  # parameters; in smaller models, threads spend more time waiting for each other than working
ALIGNED = 64  # pad lm_head to a multiple of this many rows: tensor cores are slow at other sizes


class TorchEngine(Engine):
    """An engine that computes with PyTorch.

    Args:
        params: The initial parameters; the engine takes ownership of the buffer.
        config: The model's sizes and settings.
        vocab_size: The number of tokens, including BOS.
        precision: `float32`, `float64` or `bfloat16`. With `bfloat16`, only the products are computed in bfloat16;
            parameters and sums remain in float32.
        threads: The number of CPU threads per process, between 1 and 256. Default: 1 for a small model, which more
            threads would slow down; otherwise, PyTorch's default.
        device: `cuda`, `mps` or `cpu`; default: the best one available.
        compile: Let torch.compile fuse operations; this makes the first step take up to a minute longer.
        deterministic: Make results on a GPU reproducible bit for bit, as results on a CPU always are.
        shard: Shard Adam's moments across processes (ZeRO stage 1, arXiv:1910.02054): each process stores and updates
            its share. The moments take up half of the memory used for parameters, gradients and moments. Reading m or v
            then gathers the values from all processes, so every process must read the buffer.
    """

    name: ClassVar[str] = "torch"
    precisions: ClassVar[tuple[str, ...]] = PRECISIONS
    takes_threads: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = frozenset({"device", "compile", "deterministic", "shard"})
    opens_streams: ClassVar[bool] = True
    can_init_params: ClassVar[bool] = True
    has_gpu = staticmethod(has_gpu)

    def __init__(
        self,
        params: array[float],
        config: Config,
        vocab_size: int,
        *,
        precision: str = "float32",
        threads: int | None = None,
        device: str | None = None,
        compile: bool = False,
        deterministic: bool = False,
        shard: bool = False,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got precision={precision!r}")
        self.config, self.vocab_size, self.precision = config, vocab_size, precision
        if threads is not None and not 1 <= threads <= 256:
            raise ValueError(f"threads must be between 1 and 256, got threads={threads}")
        if threads or num_params(config, vocab_size) < SMALL:
            torch.set_num_threads(threads or 1)
        self._torch_device = choose_device(device, precision)
        self._ranks = Ranks(self._torch_device)
        self.rank, self.world_size = self._ranks.rank, self._ranks.world_size
        self.device = f"torch {precision} on {describe(self._torch_device)}"
        if self.world_size > 1:
            self.device = f"{self.world_size} processes, each {self.device}"
        self._is_cuda = self._torch_device.type == "cuda"
        if self._is_cuda:
            self.call_seconds = 0.5  # the GPU is idle between two calls
        self._fused = self._torch_device.type in ("cuda", "cpu")  # Adam in one pass over memory
        self._length = num_params(config, vocab_size)
        self._dtype = torch.float64 if precision == "float64" else torch.float32
        self.step = 0
        if deterministic:
            torch.use_deterministic_algorithms(True)
            # without this setting, cuBLAS may sum in a different order each time, so PyTorch would raise an error
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # pad the length so that all processes have equal parts; the padding has no gradient and stays 0
        shares = self.world_size if shard else 1
        length = self._length + -self._length % shares
        self._sharded = shares > 1
        self.memory = (2 * length + 2 * length // shares) * self._dtype.itemsize
        self._check_memory()
        self._part = self._ranks.part(length) if shard else slice(0, length)
        with self._enough_memory(f"a model of {self._length:,} parameters"):
            # the gradient followed by the loss, so that one operation sums both over all processes
            self._grads_and_loss = self._zeros(length + 1)
            self._tensors = {"params": self._zeros(length), "grads": self._grads_and_loss[:-1]}
            self._tensors |= {name: self._zeros(length // shares) for name in ("m", "v")}
            self._steps = torch.zeros((), device=self._torch_device)  # float32, as fused Adam requires
        self._largest = 0  # positions in the largest batch so far
        self._norm: Tensor | None = None  # the norm of the last step's gradient, before clipping
        self._copy: Model | None = None  # the model with a copy of the parameters, until they change
        self._arrays: dict[str, array[float]] = {}
        self._exposed: set[str] = set()  # names of the arrays that the owner may have written to
        self.params = params
        memory = Memory(self._tensors["params"], self._tensors["grads"], shapes(config, vocab_size))
        self._aligned = ALIGNED if self._is_cuda and precision == "bfloat16" else 1
        self.model = Model(memory, config, self._aligned)
        self._loss: Any = torch.compile(loss) if compile else loss

    def init_params(self, seed: int) -> None:
        """Draw the initial parameters with PyTorch's CPU generator, so that every device gets the same values."""
        generator = torch.Generator().manual_seed(seed)
        table = shapes(self.config, self.vocab_size)
        self._upload()
        for name, where in offsets(table).items():
            numbers = torch.empty(where.stop - where.start, dtype=self._dtype)
            numbers.normal_(0.0, initial_std(self.config, name), generator=generator)
            self._tensors["params"][where].copy_(numbers)
        self._copy = None

    def _check_memory(self) -> None:
        """Raise MemoryError, before anything is allocated, if the model does not fit into the GPU's memory."""
        if not self._is_cuda:
            return
        free, _ = torch.cuda.mem_get_info(self._torch_device)
        if self.memory > free:
            raise MemoryError(too_large_message(self._length, self.memory, free, describe(self._torch_device)))

    def _check_batch_memory(self, documents: int, positions: int) -> None:
        """Raise MemoryError if the backward pass needs more memory than is free.

        This matters on a CPU, where the system would kill the process instead of refusing the allocation.
        """
        free = free_memory() if self._torch_device.type == "cpu" else None
        if free is None or self._loss is not loss:  # compiled code may need less memory
            return
        # the values that autograd saves for each position: in each layer, x, its norm, q, k, v, attention's output, x,
        # its norm, and the MLP's 4 * n_embd; at the end, the logits and their log-softmax
        c = self.config
        kept = 12 * c.n_layer * c.n_embd + 2 * self.vocab_size
        needed = positions * kept * (2 if self.precision == "bfloat16" else self._dtype.itemsize)
        if needed > free:
            raise MemoryError(
                f"a batch of {documents:,} documents ({positions:,} tokens with padding) needs at least {size(needed)},"
                f" but only {size(free)} is free: lower micro_batch_size (which does not change the results),"
                " batch_size, block_size or n_embd"
            )

    def _zeros(self, size: Any) -> Tensor:
        return torch.zeros(size, dtype=self._dtype, device=self._torch_device)

    # --- The engine's buffers

    def _gather(self, name: str) -> array[float]:
        """Return a buffer's current values, always in the same array."""
        if name not in self._exposed:
            numbers = self._arrays.setdefault(name, array("d", bytes(8 * self._length)))
            whole = self._tensors[name]
            if self._sharded and name in ("m", "v"):
                whole = self._ranks.join(torch.empty_like(self._tensors["params"]), whole)
            # convert on the CPU: Apple's GPUs have no float64, and on other GPUs the copy would use GPU memory
            torch.frombuffer(numbers, dtype=torch.float64).copy_(whole[: self._length].cpu())
            self._exposed.add(name)
        return self._arrays[name]

    def _set_buffer(self, name: str, numbers: array[float]) -> None:
        if not isinstance(numbers, array) or numbers.typecode != "d" or len(numbers) != self._length:
            raise ValueError(f"{name} must be an array('d') of {self._length} values, got {str(numbers)[:60]}")
        self._arrays[name] = numbers
        self._exposed.add(name)
        self.dtype = "F64"

    def _upload(self) -> None:
        """Upload every buffer that the owner may have changed."""
        if "params" in self._exposed:
            self._copy = None
        for name in self._exposed:
            numbers = torch.frombuffer(self._arrays[name], dtype=torch.float64)
            if self._sharded and name in ("m", "v"):
                numbers = numbers[self._part]
            self._tensors[name][: len(numbers)].copy_(numbers.to(self._dtype))
        self._exposed.clear()

    params = property(lambda self: self._gather("params"), lambda self, numbers: self._set_buffer("params", numbers))
    grads = property(lambda self: self._gather("grads"), lambda self, numbers: self._set_buffer("grads", numbers))
    m = property(lambda self: self._gather("m"), lambda self, numbers: self._set_buffer("m", numbers))
    v = property(lambda self: self._gather("v"), lambda self, numbers: self._set_buffer("v", numbers))

    # --- Training

    def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
        self._upload()
        return self._backward(batch, total or len(batch)).item()

    def _backward(self, batch: Sequence[Tokens], total: int) -> Tensor:
        """Add the gradient to grads; return the loss as a device tensor, so that the CPU does not have to wait."""
        tokens, targets, lengths = self._padded(batch)
        if tokens.numel() > self._largest:
            self._check_batch_memory(len(batch), tokens.numel())
            self._largest = tokens.numel()
        with self._enough_memory(f"a batch of {len(batch)} documents"):
            with self._autocast():
                value: Tensor = self._loss(self.model, tokens, targets, 1 / (lengths * total))
            torch.autograd.backward(value)
        return value.detach()

    def _padded(self, batch: Sequence[Tokens]) -> tuple[Tensor, Tensor, Tensor]:
        """Return token ids (B, T), targets (B, T) and each document's number of targets (B,), at most T."""
        flat, lengths = array("i"), array("i")
        for document in batch:
            read = truncated(document, self.config)
            flat.extend(read)
            lengths.append(len(read))
        if not flat or min(lengths) < 2 or not 0 <= min(flat) <= max(flat) < self.vocab_size:
            check_batch(batch, self.vocab_size)  # raises an error that explains what is wrong
        ends = torch.frombuffer(lengths, dtype=torch.int32)
        real = torch.arange(max(lengths)) < ends[:, None]
        ids = torch.zeros(real.shape, dtype=torch.long)
        ids[real] = torch.frombuffer(flat, dtype=torch.int32).long()
        targets = ids[:, 1:].masked_fill(~real[:, 1:], IGNORED)
        counts = (ends - 1).to(self._dtype)
        return self._to_device(ids[:, :-1]), self._to_device(targets), self._to_device(counts)

    def _to_device(self, numbers: Tensor) -> Tensor:
        """Copy a tensor to the device; a GPU copies from pinned memory while Python continues."""
        if self._is_cuda:
            numbers = numbers.pin_memory()
        return numbers.to(self._torch_device, non_blocking=self._is_cuda)

    def reduce(self, loss: float) -> float:
        if self.world_size == 1:
            return loss
        self._upload()
        return self._reduce(torch.tensor(loss, dtype=self._dtype)).item()

    def _reduce(self, loss: Tensor) -> Tensor:
        if self.world_size > 1:
            self._grads_and_loss[-1] = loss
            loss = self._ranks.add(self._grads_and_loss)[-1].clone()
        return loss

    def add_up(self, numbers: list[float]) -> list[float]:
        return self._ranks.add_up(numbers)

    def update(self, learning_rate: float) -> None:
        self._upload()
        self._adam(learning_rate, None)

    @torch.no_grad()
    def _adam(self, learning_rate: float, diverged: Tensor | None) -> None:
        """Take one Adam step.

        Args:
            learning_rate: The learning rate.
            diverged: If this is 1, the step changes nothing. The device checks the flag, so the CPU need not wait.
        """
        whole, grads, m, v = (self._tensors[name] for name in BUFFERS)
        params = whole[self._part]
        self._steps.fill_(self.step)
        c = self.config
        if not c.clip:
            self._norm = torch.linalg.vector_norm(grads)
        adamw(
            [params],
            [grads[self._part]],
            [m],
            [v],
            [],
            [self._steps],
            fused=self._fused,
            found_inf=diverged,
            amsgrad=False,
            beta1=c.beta1,
            beta2=c.beta2,
            lr=learning_rate,
            weight_decay=c.weight_decay,
            eps=c.eps_adam,
            maximize=False,
        )
        if self._sharded:
            self._ranks.join(whole, params)
        grads.zero_()
        self._copy = None
        self.step += 1
        if self._dtype == torch.float32:
            self.dtype = "F32"

    def clip(self, max_norm: float) -> float:
        self._upload()
        return self._clip(max_norm).item()

    def _clip(self, max_norm: float) -> Tensor:
        grads = self._tensors["grads"]
        norm: Tensor = torch.linalg.vector_norm(grads)
        grads.mul_(torch.clamp(max_norm / norm, max=1.0))
        self._norm = norm
        return norm

    def diagnostics(self) -> dict[str, float]:
        found = {"memory": float(self._memory_taken())}
        if self._norm is not None:
            found["grad_norm"] = self._norm.item()
        if self.precision == "bfloat16" and self._is_cuda:
            name = torch.cuda.get_device_name(self._torch_device)
            if peak := next((peak for part, peak in PEAKS.items() if part in name), 0.0):
                found["peak_flops"] = peak * self.world_size
        return found

    def _memory_taken(self) -> int:
        if self._is_cuda:
            return torch.cuda.max_memory_allocated(self._torch_device)
        return peak_memory()

    def train(
        self,
        batches: Iterable[Sequence[Tokens]],
        learning_rates: Iterable[float],
        micro_batch_size: int | None = None,
    ) -> list[float]:
        if not self._fused:
            return super().train(batches, learning_rates, micro_batch_size)
        self._upload()
        values: list[Tensor] = []
        diverged, first = torch.zeros((), device=self._torch_device), self.step
        try:
            for batch, learning_rate in zip(batches, learning_rates):
                total = len(batch) * self.world_size
                values.append(
                    self._reduce(sum_losses(self._backward(p, total) for p in parts(batch, micro_batch_size)))
                )
                diverged = torch.maximum(diverged, (~torch.isfinite(values[-1])).float())
                if self.config.clip:
                    self._clip(self.config.clip)
                self._adam(learning_rate, diverged)
        finally:  # an invalid batch does not undo the preceding steps
            losses: list[float] = torch.stack(values).tolist() if values else []
            for i, value in enumerate(losses):
                if not math.isfinite(value):
                    self.step = first + i
                    del losses[i + 1 :]
                    break
        return losses

    # --- Inference

    def logits(self, tokens: Tokens) -> list[Sequence[float]]:
        self._upload()
        check_tokens(tokens, self.vocab_size)
        if len(tokens) > self.config.block_size:
            raise ValueError(full_context_message(self.config.block_size))
        if not tokens:
            return []
        ids = torch.tensor([list(tokens)], device=self._torch_device)
        with torch.inference_mode(), self._autocast():
            rows: list[Sequence[float]] = self.model(ids)[0].tolist()
        return rows

    def losses(self, documents: Iterable[Tokens]) -> Iterator[float]:
        c = self.config
        # values per position in the largest tensor: the logits, the MLP, or attention weights without a fused kernel
        width = max(self.vocab_size, 4 * c.n_embd, c.n_head * c.block_size)
        positions = (AT_ONCE if self._torch_device.type == "cpu" else 16 * AT_ONCE) // width
        for group in groups((truncated(document, c) for document in documents), READ_AHEAD * positions):
            nats: dict[int, float] = {}
            by_length = sorted(range(len(group)), key=lambda i: len(group[i]))
            while by_length:
                longest = len(group[by_length[-1]]) - 1
                batch = by_length[-max(1, positions // max(1, longest)) :]
                del by_length[-len(batch) :]
                nats.update(zip(batch, self._nats([group[i] for i in batch])))
            yield from map(nats.__getitem__, range(len(group)))

    def _nats(self, batch: Sequence[Tokens]) -> list[float]:
        self._upload()
        tokens, targets, _ = self._padded(batch)
        with self._enough_memory(f"{len(batch)} documents"), torch.inference_mode(), self._autocast():
            found: list[float] = token_losses(self.model, tokens, targets).cpu().double().sum(1).tolist()
        return found

    def decoder(self) -> TorchDecoder:
        return TorchDecoder(self)

    def streams(self, count: int) -> TorchStreams:
        return TorchStreams(self, count)

    def _snapshot(self) -> Model:
        """Return the current model with a copy of its parameters, which contexts can still use after the next step.

        Contexts share the copy until the parameters change.
        """
        if self._copy is None:
            table = shapes(self.config, self.vocab_size)
            self._copy = Model(Memory(self._tensors["params"].clone(), None, table), self.config, self._aligned)
        return self._copy

    def _autocast(self) -> AbstractContextManager[object]:
        if self.precision != "bfloat16":
            return nullcontext()
        return torch.autocast(self._torch_device.type, torch.bfloat16)

    @contextmanager
    def _enough_memory(self, what: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
                raise MemoryError(
                    f"not enough memory on {describe(self._torch_device)} for {what}:"
                    " lower micro_batch_size (which does not change the results), batch_size, block_size or n_embd"
                ) from error
            raise


def sum_losses(losses: Iterable[Tensor]) -> Tensor:
    """Return the sum of the losses, added from left to right on their device."""
    return functools.reduce(torch.add, losses)
