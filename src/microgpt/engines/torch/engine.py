"""The torch engine's forward, backward and Adam in PyTorch, on a GPU if there is one.

It is for models too large for a single CPU core. The numbers live in flat tensors on the device. A buffer of the
contract is gathered from there when somebody asks for it, and, as its owner may have written to it, put back before the
next computation: training copies nothing.
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
from microgpt.engines.base import Engine, Tokens, check_batch, check_tokens, parts, truncated
from microgpt.system.memory import free_memory, peak_memory, too_large
from microgpt.system.text import size

try:
    import torch
    from torch import Tensor
    from torch.optim.adam import adam

    from microgpt.engines.torch.decoding import TorchDecoder, TorchStreams, full
    from microgpt.engines.torch.device import PEAKS, choose_device, describe, has_gpu
    from microgpt.engines.torch.distributed import Ranks
    from microgpt.engines.torch.model import IGNORED, Memory, Model, loss, surprises
except (ImportError, OSError) as error:  # OSError: its libraries do not fit this system
    raise ImportError(f"the torch engine needs PyTorch: pip install 'microgpt-lab[torch]' ({error})") from error

PRECISIONS = ("float32", "float64", "bfloat16")
BUFFERS = ("params", "grads", "m", "v")
# How many numbers of a kind the evaluation of documents makes at once on a CPU, whose caches more would leave; on a GPU
# 16 times as many. So many times more tokens are read ahead, so that documents of about a length come together.
AT_ONCE, READ_AHEAD = 1 << 22, 8
SMALL = 100_000  # parameters; with fewer, threads wait for each other longer than they work
ALIGNED = 64  # rows of lm_head come in multiples of it where tensor cores compute, which are slow at odd sizes


class TorchEngine(Engine):
    """precision: of all numbers; in `bfloat16` the products alone are so, and parameters and sums stay float32.

    threads: of the whole process, on a CPU; the default is torch's own, but one for a small model, where several cost
    more than they bring. device: `cuda`, `mps` or `cpu` instead of the best that is here. compile: let torch.compile
    fuse the operations, which takes it up to a minute at the first step. deterministic: the same bits at every
    repetition on a GPU too; on a CPU they always are. shard: of several processes each keeps and updates only a part
    of Adam's moments (ZeRO, arXiv:1910.02054), which are half of a training model's numbers; m and v are then gathered
    from all processes, which all must ask for them.
    """

    name: ClassVar[str] = "torch"
    precisions: ClassVar[tuple[str, ...]] = PRECISIONS
    takes_threads: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = frozenset({"device", "compile", "deterministic", "shard"})
    opens_streams: ClassVar[bool] = True
    draws_params: ClassVar[bool] = True
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
            raise ValueError(f"threads must be from 1 to 256, got threads={threads}")
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
            self.call_seconds = 0.5  # between two calls it is idle
        self._fused = self._torch_device.type in ("cuda", "cpu")  # Adam in one pass over memory
        self._length = num_params(config, vocab_size)
        self._dtype = torch.float64 if precision == "float64" else torch.float32
        self.step = 0
        if deterministic:
            torch.use_deterministic_algorithms(True)
            # without it cuBLAS may add in another order each time, and PyTorch then refuses to multiply
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # padded, so that all have equal parts; padding has no gradient and stays 0
        shares = self.world_size if shard else 1
        length = self._length + -self._length % shares
        self._sharded = shares > 1
        self.memory = (2 * length + 2 * length // shares) * self._dtype.itemsize
        self._check_memory()
        self._part = self._ranks.part(length) if shard else slice(0, length)
        with self._enough_memory(f"a model of {self._length:,} parameters"):
            # the gradient, and the loss behind it: what the processes tell each other, in one piece
            self._told = self._zeros(length + 1)
            self._tensors = {"params": self._zeros(length), "grads": self._told[:-1]}
            self._tensors |= {name: self._zeros(length // shares) for name in ("m", "v")}
            self._steps = torch.zeros((), device=self._torch_device)  # float32, as fused Adam wants it
        self._largest = 0  # positions of a batch so far
        self._norm: Tensor | None = None  # of the gradient of the last step, before it was clipped
        self._kept: Model | None = None  # over a copy of the parameters, while these are still the same
        self._arrays: dict[str, array[float]] = {}
        self._given: set[str] = set()  # those of _arrays that their owner may have written to
        self.params = params
        memory = Memory(self._tensors["params"], self._tensors["grads"], shapes(config, vocab_size))
        self._aligned = ALIGNED if self._is_cuda and precision == "bfloat16" else 1
        self.model = Model(memory, config, self._aligned)
        self._loss: Any = torch.compile(loss) if compile else loss

    def draw_params(self, seed: int) -> None:
        """Random first parameters by PyTorch's generator: quicker than Python's for millions, and the same anywhere."""
        generator = torch.Generator().manual_seed(seed)
        table = shapes(self.config, self.vocab_size)
        self._take_back()
        for name, where in offsets(table).items():
            numbers = torch.empty(where.stop - where.start, dtype=self._dtype)
            numbers.normal_(0.0, initial_std(self.config, name), generator=generator)
            self._tensors["params"][where].copy_(numbers)
        self._kept = None

    def _check_memory(self) -> None:
        """Raise MemoryError, before anything is taken, for what a GPU cannot hold."""
        if not self._is_cuda:
            return
        free, _ = torch.cuda.mem_get_info(self._torch_device)
        if self.memory > free:
            raise MemoryError(too_large(self._length, self.memory, free, describe(self._torch_device)))

    def _check_batch_memory(self, documents: int, positions: int) -> None:
        """Raise MemoryError for a batch whose backward pass needs more than a CPU's machine has: the system would not
        refuse it, but end the process.
        """
        free = free_memory() if self._torch_device.type == "cpu" else None
        if free is None or self._loss is not loss:  # what is compiled may need less
            return
        # what autograd keeps of each position: in a layer x and the norm of it, qkv, the answers, x, its norm and the
        # hidden four; at the end logits and their log-softmax
        c = self.config
        kept = 12 * c.n_layer * c.n_embd + 2 * self.vocab_size
        needed = positions * kept * (2 if self.precision == "bfloat16" else self._dtype.itemsize)
        if needed > free:
            raise MemoryError(
                f"a batch of {documents:,} documents, {positions:,} tokens with the padding, needs at least"
                f" {size(needed)}, and this machine has {size(free)} free: lower micro_batch_size (which changes no"
                " number), batch_size, block_size or n_embd"
            )

    def _zeros(self, size: Any) -> Tensor:
        return torch.zeros(size, dtype=self._dtype, device=self._torch_device)

    # --- The buffers of the contract

    def _gather(self, name: str) -> array[float]:
        """A buffer as it is now, in the same array each time."""
        if name not in self._given:
            numbers = self._arrays.setdefault(name, array("d", bytes(8 * self._length)))
            whole = self._tensors[name]
            if self._sharded and name in ("m", "v"):
                whole = self._ranks.join(torch.empty_like(self._tensors["params"]), whole)
            # first to the CPU: Apple's GPUs have no float64, and others would take room for it
            torch.frombuffer(numbers, dtype=torch.float64).copy_(whole[: self._length].cpu())
            self._given.add(name)
        return self._arrays[name]

    def _put(self, name: str, numbers: array[float]) -> None:
        if not isinstance(numbers, array) or numbers.typecode != "d" or len(numbers) != self._length:
            raise ValueError(f"{name} must be an array('d') of {self._length} numbers, got {str(numbers)[:60]}")
        self._arrays[name] = numbers
        self._given.add(name)
        self.dtype = "F64"

    def _take_back(self) -> None:
        """Bring what the owner may have changed to the device."""
        if "params" in self._given:
            self._kept = None
        for name in self._given:
            numbers = torch.frombuffer(self._arrays[name], dtype=torch.float64)
            if self._sharded and name in ("m", "v"):
                numbers = numbers[self._part]
            self._tensors[name][: len(numbers)].copy_(numbers.to(self._dtype))
        self._given.clear()

    params = property(lambda self: self._gather("params"), lambda self, numbers: self._put("params", numbers))
    grads = property(lambda self: self._gather("grads"), lambda self, numbers: self._put("grads", numbers))
    m = property(lambda self: self._gather("m"), lambda self, numbers: self._put("m", numbers))
    v = property(lambda self: self._gather("v"), lambda self, numbers: self._put("v", numbers))

    # --- Training

    def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
        self._take_back()
        return self._backward(batch, total or len(batch)).item()

    def _backward(self, batch: Sequence[Tokens], total: int) -> Tensor:
        """The loss, which stays on the device, so that nobody waits for it."""
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
        """(B, T) token ids, (B, T) targets and (B,) how many they are, T the longest document's."""
        flat, lengths = array("i"), array("i")
        for document in batch:
            read = truncated(document, self.config)
            flat.extend(read)
            lengths.append(len(read))
        if not flat or min(lengths) < 2 or not 0 <= min(flat) <= max(flat) < self.vocab_size:
            check_batch(batch, self.vocab_size)  # which says what is wrong
        ends = torch.frombuffer(lengths, dtype=torch.int32)
        real = torch.arange(max(lengths)) < ends[:, None]
        ids = torch.zeros(real.shape, dtype=torch.long)
        ids[real] = torch.frombuffer(flat, dtype=torch.int32).long()
        targets = ids[:, 1:].masked_fill(~real[:, 1:], IGNORED)
        counts = (ends - 1).to(self._dtype)
        return self._moved(ids[:, :-1]), self._moved(targets), self._moved(counts)

    def _moved(self, numbers: Tensor) -> Tensor:
        """On the device. From memory that stays where it is, a GPU fetches it while Python goes on."""
        if self._is_cuda:
            numbers = numbers.pin_memory()
        return numbers.to(self._torch_device, non_blocking=self._is_cuda)

    def reduce(self, loss: float) -> float:
        if self.world_size == 1:
            return loss
        self._take_back()
        return self._reduce(torch.tensor(loss, dtype=self._dtype)).item()

    def _reduce(self, loss: Tensor) -> Tensor:
        if self.world_size > 1:
            self._told[-1] = loss
            loss = self._ranks.add(self._told)[-1].clone()
        return loss

    def add_up(self, numbers: list[float]) -> list[float]:
        return self._ranks.add_up(numbers)

    def update(self, learning_rate: float) -> None:
        self._take_back()
        self._adam(learning_rate, None)

    @torch.no_grad()
    def _adam(self, learning_rate: float, diverged: Tensor | None) -> None:
        """diverged: where it is 1 nothing changes, which the device can see without anybody waiting for it."""
        whole, grads, m, v = (self._tensors[name] for name in BUFFERS)
        params = whole[self._part]
        self._steps.fill_(self.step)
        c = self.config
        if not c.clip:
            self._norm = torch.linalg.vector_norm(grads)
        adam(
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
            weight_decay=0.0,
            eps=c.eps_adam,
            maximize=False,
        )
        if self._sharded:
            self._ranks.join(whole, params)
        grads.zero_()
        self._kept = None
        self.step += 1
        if self._dtype == torch.float32:
            self.dtype = "F32"

    def clip(self, largest: float) -> float:
        self._take_back()
        return self._clip(largest).item()

    def _clip(self, largest: float) -> Tensor:
        grads = self._tensors["grads"]
        norm: Tensor = torch.linalg.vector_norm(grads)
        grads.mul_(torch.clamp(largest / norm, max=1.0))
        self._norm = norm
        return norm

    def condition(self) -> dict[str, float]:
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
        self._take_back()
        values: list[Tensor] = []
        diverged, first = torch.zeros((), device=self._torch_device), self.step
        try:
            for batch, learning_rate in zip(batches, learning_rates):
                total = len(batch) * self.world_size
                values.append(self._reduce(sum_of(self._backward(p, total) for p in parts(batch, micro_batch_size))))
                diverged = torch.maximum(diverged, (~torch.isfinite(values[-1])).float())
                if self.config.clip:
                    self._clip(self.config.clip)
                self._adam(learning_rate, diverged)
        finally:  # a mistake in one batch does not undo the steps before it
            losses: list[float] = torch.stack(values).tolist() if values else []
            for i, value in enumerate(losses):
                if not math.isfinite(value):
                    self.step = first + i
                    del losses[i + 1 :]
                    break
        return losses

    # --- Using

    def logits(self, tokens: Tokens) -> list[Sequence[float]]:
        self._take_back()
        check_tokens(tokens, self.vocab_size)
        if len(tokens) > self.config.block_size:
            raise ValueError(full(self.config.block_size))
        if not tokens:
            return []
        ids = torch.tensor([list(tokens)], device=self._torch_device)
        with torch.inference_mode(), self._autocast():
            rows: list[Sequence[float]] = self.model(ids)[0].tolist()
        return rows

    def losses(self, documents: Iterable[Tokens]) -> Iterator[float]:
        c = self.config
        # numbers of a position where they are most: logits, the MLP's, or attention's where no kernel spares them
        width = max(self.vocab_size, 4 * c.n_embd, c.n_head * c.block_size)
        positions = (AT_ONCE if self._torch_device.type == "cpu" else 16 * AT_ONCE) // width
        for some in _gathered((truncated(document, c) for document in documents), READ_AHEAD * positions):
            nats: dict[int, float] = {}
            by_length = sorted(range(len(some)), key=lambda i: len(some[i]))
            while by_length:
                longest = len(some[by_length[-1]]) - 1
                batch = by_length[-max(1, positions // max(1, longest)) :]
                del by_length[-len(batch) :]
                nats.update(zip(batch, self._nats([some[i] for i in batch])))
            yield from map(nats.__getitem__, range(len(some)))

    def _nats(self, batch: Sequence[Tokens]) -> list[float]:
        self._take_back()
        tokens, targets, _ = self._padded(batch)
        with self._enough_memory(f"{len(batch)} documents"), torch.inference_mode(), self._autocast():
            found: list[float] = surprises(self.model, tokens, targets).cpu().double().sum(1).tolist()
        return found

    def decoder(self) -> TorchDecoder:
        return TorchDecoder(self)

    def streams(self, count: int) -> TorchStreams:
        return TorchStreams(self, count)

    def _snapshot(self) -> Model:
        """The model as it is now, for contexts that outlive the next step; one for all of them."""
        if self._kept is None:
            table = shapes(self.config, self.vocab_size)
            self._kept = Model(Memory(self._tensors["params"].clone(), None, table), self.config, self._aligned)
        return self._kept

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
                    f"{what} does not fit into the memory of {describe(self._torch_device)}:"
                    " lower micro_batch_size (which changes no number), batch_size, block_size or n_embd"
                ) from error
            raise


def _gathered(documents: Iterable[Tokens], tokens: int) -> Iterator[list[Tokens]]:
    """The documents, as many at a time as have that many `tokens` in all."""
    some: list[Tokens] = []
    left = tokens
    for document in documents:
        some.append(document)
        left -= len(some[-1])
        if left <= 0:
            yield some
            some, left = [], tokens
    if some:
        yield some


def sum_of(losses: Iterable[Tensor]) -> Tensor:
    """From left to right, wherever they are."""
    return functools.reduce(torch.add, losses)
