"""The reference in PyTorch: the same model, the same random numbers and the same results, in float64.

`python microgpt_torch.py names.txt` prints what `python reference.py names.txt` prints. PyTorch provides the tensors,
the gradients and Adam, so only the data, the model and the two loops are left to write. The model processes a whole
document at once, so its attention needs a mask; the reference processes one token at a time and needs none.
"""

import random
import sys

import torch
from torch import nn
from torch.nn import functional as F


# --- 1. Data: as in the reference
def documents(path):
    """Return the lines of a text file, stripped of surrounding whitespace; blank lines are skipped."""
    with open(path, encoding="utf-8-sig") as file:
        return [line.strip() for line in file if line.strip()]


class Tokenizer:
    """Converts characters to token ids and back. An extra token, BOS, begins and ends every document."""

    def __init__(self, chars):
        self.symbols = [*sorted(chars), ""]  # the character of each token id, empty for BOS
        self.bos = len(chars)
        self.token_ids = {symbol: token_id for token_id, symbol in enumerate(self.symbols)}

    def encode(self, document):
        return [self.bos, *(self.token_ids[char] for char in document), self.bos]

    def decode(self, token_ids):
        return "".join(self.symbols[token_id] for token_id in token_ids)


# --- 2. Autograd: torch.Tensor replaces Value, and its backward() is built in


# --- 3. The model: T positions at once, with C = n_embd numbers each, in H heads of D = C / H
class Attention(nn.Module):
    """Exchanges information between positions."""

    def __init__(self, n_embd, n_head):
        super().__init__()
        self.n_head = n_head
        self.wq = nn.Linear(n_embd, n_embd, bias=False)
        self.wk = nn.Linear(n_embd, n_embd, bias=False)
        self.wv = nn.Linear(n_embd, n_embd, bias=False)
        self.wo = nn.Linear(n_embd, n_embd, bias=False)

    def forward(self, x):
        q = self.wq(x).unflatten(-1, (self.n_head, -1)).transpose(0, 1)  # (T, C) -> (T, H, D) -> (H, T, D)
        k = self.wk(x).unflatten(-1, (self.n_head, -1)).transpose(0, 1)
        v = self.wv(x).unflatten(-1, (self.n_head, -1)).transpose(0, 1)
        x_attn = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # no position sees a later one
        return self.wo(x_attn.transpose(0, 1).flatten(1))  # (T, C)


class MLP(nn.Module):
    """Processes each position by itself."""

    def __init__(self, n_embd):
        super().__init__()
        self.fc1 = nn.Linear(n_embd, 4 * n_embd, bias=False)
        self.fc2 = nn.Linear(4 * n_embd, n_embd, bias=False)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


class GPT(nn.Module):
    """Token ids (T,) -> the logits of the token after each, (T, vocab_size)."""

    def __init__(self, vocab_size, n_embd, n_layer, n_head, block_size):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.wpe = nn.Embedding(block_size, n_embd)
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.layers = nn.ModuleList(
            nn.ModuleDict({"attn": Attention(n_embd, n_head), "mlp": MLP(n_embd)}) for _ in range(n_layer)
        )

    def init(self, rng, init_std):
        """Draw the reference's initial weights, in the same order. nn.init.normal_ would draw other numbers."""
        for p in self.parameters():
            p.data = torch.tensor([[rng.gauss(0, init_std) for _ in range(p.shape[1])] for _ in range(p.shape[0])])

    def forward(self, token_ids):
        x = self.wte(token_ids) + self.wpe.weight[: len(token_ids)]
        x = rmsnorm(x)
        for layer in self.layers:
            x = x + layer["attn"](rmsnorm(x))
            x = x + layer["mlp"](rmsnorm(x))
        return self.lm_head(x)


def rmsnorm(x):
    return F.rms_norm(x, x.shape[-1:], eps=1e-5)


# --- 4. Training: the loss of a document
def loss(tokens, model, block_size):
    """Return the mean of -log p over a document's predicted tokens, in nats; tokens past block_size are ignored."""
    tokens = torch.tensor(tokens[: block_size + 1])
    return F.cross_entropy(model(tokens[:-1]), tokens[1:])


# --- 5. Generating: sample the next token from the model's probabilities, and feed it back
@torch.no_grad()
def sample(model, bos, rng, temperature, block_size):
    """Return the token ids of a new document. There is no cache, so each step reads the whole document again."""
    token_ids = [bos]
    while len(token_ids) <= block_size:
        logits = model(torch.tensor(token_ids))[-1]
        probs = F.softmax(logits / temperature, dim=-1)
        [token_id] = rng.choices(range(len(probs)), weights=probs.tolist())
        if token_id == bos:
            break
        token_ids.append(token_id)
    return token_ids[1:]


# --- 6. The published run
def main(docs):
    torch.set_default_dtype(torch.float64)  # like Python's floats; PyTorch's default, float32, is faster
    torch.set_num_threads(1)  # these matrices are too small for several threads
    rng = random.Random(42)  # one random stream: for the order of the documents, then the weights, then the samples
    rng.shuffle(docs)
    tokenizer = Tokenizer(set("".join(docs)))
    vocab_size, n_embd, n_layer, n_head, block_size = len(tokenizer.symbols), 16, 1, 4, 16
    model = GPT(vocab_size, n_embd, n_layer, n_head, block_size)
    model.init(rng, init_std=0.08)
    num_steps = 1000
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, betas=(0.85, 0.99), eps=1e-8)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / num_steps)
    print(f"num docs: {len(docs)}\nvocab size: {vocab_size}\nnum params: {sum(p.numel() for p in model.parameters())}")
    for step in range(num_steps):
        surprise = loss(tokenizer.encode(docs[step % len(docs)]), model, block_size)
        surprise.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        print(f"step {step + 1:4d} / {num_steps:4d} | loss {surprise.item():.4f}")
    print("\n--- inference ---")
    for i in range(20):
        token_ids = sample(model, tokenizer.bos, rng, 0.5, block_size)
        print(f"sample {i + 1:2d}: {tokenizer.decode(token_ids)}")


if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else "input.txt"
    main(documents(path))
