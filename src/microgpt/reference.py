"""A GPT in plain Python: the complete algorithm in one file, with nothing to install.

`python reference.py names.txt` reads one document per line, learns which character follows which, and writes new ones.
Nothing here is fast. Larger GPTs take these same steps, on more numbers at once. The algorithm is Andrej Karpathy's
microgpt (2026); this text is our own, and reproduces the numbers of his published run to the last bit.
"""
import gc, math, random, sys

# --- 1. Data: the documents, and the closed vocabulary of the characters that occur in them
def documents(path):
    """Return the lines of a text file, stripped of surrounding whitespace; blank lines are skipped."""
    with open(path, encoding="utf-8-sig") as file:
        return [line.strip() for line in file if line.strip()]

class Tokenizer:
    """Converts characters to token ids and back. An extra token, BOS, begins and ends every document."""
    def __init__(self, chars, bos_first=False):
        chars = sorted(chars)
        self.bos = 0 if bos_first else len(chars)
        self.symbols = [*chars[:self.bos], "", *chars[self.bos:]]  # the character of each token id, empty for BOS
        self.token_ids = {symbol: token_id for token_id, symbol in enumerate(self.symbols)}

    def encode(self, document):
        return [self.bos, *(self.token_ids[char] for char in document), self.bos]

    def decode(self, token_ids):
        return "".join(self.symbols[token_id] for token_id in token_ids)

# --- 2. Autograd: numbers that remember how they were computed, so that gradients can flow back to them
class Value:
    """A number computed from at most two others, a and b, and its derivative with respect to each."""
    __slots__ = ("data", "grad", "a", "da", "b", "db")

    def __init__(self, data, a=None, da=None, b=None, db=None):
        self.data = data
        self.grad = 0.0  # d loss / d self, known after backward()
        self.a, self.da = a, da  # the first operand, and d self / d a; None for a leaf of the graph
        self.b, self.db = b, db  # the second operand, if there is one, and d self / d b

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, self, 1.0, other, 1.0)

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, self, other.data, other, self.data)

    def __pow__(self, n): return Value(self.data**n, self, n * self.data ** (n - 1))
    def log(self): return Value(math.log(self.data), self, 1 / self.data)
    def exp(self): return Value(e := math.exp(self.data), self, e)  # exp is its own derivative
    def relu(self): return Value(max(0.0, self.data), self, float(self.data > 0))
    def __neg__(self): return self * -1
    def __sub__(self, other): return self + -other
    def __truediv__(self, other): return self * other**-1
    def __rmul__(self, other): return self * other
    def __radd__(self, other): return self + other if other else self  # sum() starts at 0, which needs no node

    def backward(self):
        """Add d self / d node to the grad of every node that self depends on, by the chain rule in a single pass."""
        order, seen, stack = [], set(), [self]
        while stack:  # depth first, without recursion, which Python limits: a graph may have any depth
            node = stack.pop()
            if node is None:  # a mark: the operands of the node below it are in order, so that node is next
                order.append(stack.pop())
            elif node.a is not None and node not in seen:  # a leaf has no operands to pass its gradient to
                seen.add(node)
                stack += (node, None, node.a) if node.b is None else (node, None, node.b, node.a)
        self.grad = 1.0
        for node in reversed(order):  # from the loss back: a node's gradient is complete before it is passed on
            node.a.grad += node.da * node.grad  # += because a number may be used more than once
            if node.b is not None:
                node.b.grad += node.db * node.grad

# --- 3. The model: its parameters, and what it computes with them
def shapes(vocab_size, n_embd, n_layer, block_size):
    """Return the shapes of the parameter matrices: name -> (rows, columns), one row per output."""
    table = {"wte": (vocab_size, n_embd), "wpe": (block_size, n_embd), "lm_head": (vocab_size, n_embd)}
    for i in range(n_layer):
        table |= {f"layer{i}.attn_{name}": (n_embd, n_embd) for name in ("wq", "wk", "wv", "wo")}
        table |= {f"layer{i}.mlp_fc1": (4 * n_embd, n_embd), f"layer{i}.mlp_fc2": (n_embd, 4 * n_embd)}
    return table

def init(shapes, rng, init_std):
    """Return the small random weights of an untrained model."""
    return {name: [[Value(rng.gauss(0, init_std)) for _ in range(columns)] for _ in range(rows)]
            for name, (rows, columns) in shapes.items()}

def linear(x, w):
    """(nin,), (nout, nin) -> (nout,): each output is a weighted sum of all the inputs."""
    return [sum(wi * xi for wi, xi in zip(row, x)) for row in w]

def softmax(logits):
    """Turn logits into probabilities. Subtracting the largest logit changes nothing, but keeps exp from overflowing."""
    largest = max(logit.data for logit in logits)
    exps = [(logit - largest).exp() for logit in logits]
    total = sum(exps)
    return [e / total for e in exps]

def rmsnorm(x):
    """Divide x by its root mean square, so that all vectors have about the same size."""
    mean_square = sum(xi * xi for xi in x) / len(x)
    scale = (mean_square + 1e-5) ** -0.5
    return [xi * scale for xi in x]

def attention(q, keys, values):
    """(d,), (t, d), (t, d) -> (d,): the mean of the values so far, weighted by how well their keys match the query."""
    attn_logits = [sum(qj * kj for qj, kj in zip(q, k)) / len(q) ** 0.5 for k in keys]
    attn_weights = softmax(attn_logits)
    return [sum(weight * v[j] for weight, v in zip(attn_weights, values)) for j in range(len(q))]

def gpt(token_id, pos_id, keys, values, state_dict, n_head, activation=Value.relu):
    """Return the logits of the next token. keys and values, one list per layer, grow by one position per call."""
    # These lists are the model's only memory of earlier positions. They hold no later ones, so no mask is needed.
    x = [t + p for t, p in zip(state_dict["wte"][token_id], state_dict["wpe"][pos_id])]
    x = rmsnorm(x)
    for i in range(len(keys)):
        x_residual = x  # attention: the positions exchange information
        x = rmsnorm(x)
        q = linear(x, state_dict[f"layer{i}.attn_wq"])
        k = linear(x, state_dict[f"layer{i}.attn_wk"])
        v = linear(x, state_dict[f"layer{i}.attn_wv"])
        keys[i].append(k)
        values[i].append(v)
        x_attn = []
        for h in range(n_head):
            head = slice(h * len(q) // n_head, (h + 1) * len(q) // n_head)
            x_attn += attention(q[head], [k[head] for k in keys[i]], [v[head] for v in values[i]])
        x = linear(x_attn, state_dict[f"layer{i}.attn_wo"])
        x = [a + b for a, b in zip(x, x_residual)]
        x_residual = x  # mlp: each position is processed by itself
        x = rmsnorm(x)
        x = linear(x, state_dict[f"layer{i}.mlp_fc1"])
        x = [activation(xi) for xi in x]
        x = linear(x, state_dict[f"layer{i}.mlp_fc2"])
        x = [a + b for a, b in zip(x, x_residual)]
    return linear(x, state_dict["lm_head"])

# --- 4. Training: the loss of a document, and the update that lowers it
def loss(tokens, state_dict, n_layer, n_head, block_size, activation=Value.relu):
    """Return the mean of -log p over a document's predicted tokens, in nats; tokens past block_size are ignored."""
    keys, values, losses = [[] for _ in range(n_layer)], [[] for _ in range(n_layer)], []
    for pos_id, (token_id, target_id) in enumerate(zip(tokens[:block_size], tokens[1:])):
        probs = softmax(gpt(token_id, pos_id, keys, values, state_dict, n_head, activation))
        losses.append(-probs[target_id].log())
    return 1 / len(losses) * sum(losses)

def adam(params, m, v, step, learning_rate, beta1, beta2, eps_adam):
    """Move each weight against its gradient, using its own momentum m and scale v. step counts from 1."""
    for i, p in enumerate(params):
        m[i] = beta1 * m[i] + (1 - beta1) * p.grad
        v[i] = beta2 * v[i] + (1 - beta2) * p.grad**2
        m_hat = m[i] / (1 - beta1**step)  # m and v start at 0, so they are too small at first
        v_hat = v[i] / (1 - beta2**step)
        p.data -= learning_rate * m_hat / (v_hat**0.5 + eps_adam)
        p.grad = 0.0

# --- 5. Generating: sample the next token from the model's probabilities, and feed it back
def sample(state_dict, bos, rng, temperature, n_layer, n_head, block_size, activation=Value.relu):
    """Return the token ids of a new document. A low temperature favors likely tokens; a high one takes risks."""
    keys, values, token_id, token_ids = [[] for _ in range(n_layer)], [[] for _ in range(n_layer)], bos, []
    for pos_id in range(block_size):
        logits = gpt(token_id, pos_id, keys, values, state_dict, n_head, activation)
        probs = softmax([logit / temperature for logit in logits])
        [token_id] = rng.choices(range(len(probs)), weights=[p.data for p in probs])
        if token_id == bos: break
        token_ids.append(token_id)
    return token_ids

# --- 6. The published run
def main(docs):
    rng = random.Random(42)  # one random stream: for the order of the documents, then the weights, then the samples
    rng.shuffle(docs)
    tokenizer = Tokenizer(set("".join(docs)))
    vocab_size, n_embd, n_layer, n_head, block_size = len(tokenizer.symbols), 16, 1, 4, 16
    state_dict = init(shapes(vocab_size, n_embd, n_layer, block_size), rng, init_std=0.08)
    params = [p for matrix in state_dict.values() for row in matrix for p in row]
    m, v, num_steps = [0.0] * len(params), [0.0] * len(params), 1000
    print(f"num docs: {len(docs)}\nvocab size: {vocab_size}\nnum params: {len(params)}")
    if sys.implementation.name == "cpython": gc.disable()  # its search for cycles takes long, and finds none in a graph
    for step in range(num_steps):
        surprise = loss(tokenizer.encode(docs[step % len(docs)]), state_dict, n_layer, n_head, block_size)
        surprise.backward()
        adam(params, m, v, step + 1, 0.01 * (1 - step / num_steps), beta1=0.85, beta2=0.99, eps_adam=1e-8)
        print(f"step {step + 1:4d} / {num_steps:4d} | loss {surprise.data:.4f}")
        del surprise  # and with it the graph
    gc.enable()
    print("\n--- inference ---")
    for i in range(20):
        token_ids = sample(state_dict, tokenizer.bos, rng, 0.5, n_layer, n_head, block_size)
        print(f"sample {i + 1:2d}: {tokenizer.decode(token_ids)}")

if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else "input.txt"
    try:
        if not (docs := documents(path)): raise OSError("it is empty")
    except (OSError, UnicodeDecodeError) as error:
        print(f"cannot read {path!r} ({error}): give a UTF-8 text file with one document per line, or save "
              "https://raw.githubusercontent.com/karpathy/makemore/988aa59/names.txt as input.txt", file=sys.stderr)
        sys.exit(2)
    main(docs)
