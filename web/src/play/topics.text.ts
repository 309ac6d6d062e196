// The words of the big picture: the acts, and the topics to remember from each act.
import { texts } from '../texts/texts'

export default texts({
  acts: {
    data: 'I. Setup and data',
    mistakes: 'II. How the model learns from mistakes',
    model: 'III. The GPT',
    training: 'IV. Training',
    generating: 'V. Generating',
  },

  topics: {
    seed: {
      title: 'One seed, one fate',
      plain:
        'A [seed](term:seed) is a recipe for dice: start with the same number, and you get the same throws in the same order. That is why you can repeat everything on this page and check every number.',
      technical:
        'The Mersenne Twister stores 624 words of 32 bits and mixes them with shifts and exclusive-ors; its period is 2**19937 − 1. It is fine for shuffling and for initial weights, but not for secrets: 624 outputs reveal its state.',
    },
    shuffle: {
      title: 'The shuffle',
      plain:
        'The last card swaps places with a random card, possibly itself. Then the card before it swaps with a random card that is not yet settled, and so on. Every order is equally likely.',
      technical:
        'The Fisher–Yates shuffle makes n − 1 swaps and draws each partner uniformly from the positions that are not settled yet. Sorting by random keys would cost more, and swapping any two positions at random would not be uniform.',
    },
    vocabulary: {
      title: 'A closed vocabulary',
      plain:
        'Only the letters in the training text have a ticket. The model cannot read a new letter at all, not even badly.',
      technical:
        'There are {vocab_size} tokens here. Byte-pair vocabularies are closed too, but they include every single byte, so they can spell any text.',
    },
    values: {
      title: 'Values that remember',
      plain:
        'Each number kept a receipt when it was computed: which numbers it came from, and how strongly it responds to each of them. Now the receipts are read, starting at the end.',
      technical:
        'The graph is defined by running the program: control flow is ordinary Python, and whatever was computed is in the graph. The graph’s memory grows with the length of the computation, so frameworks can recompute parts of the graph instead of storing them.',
    },
    blame: {
      title: 'Blame flows backward',
      plain:
        'Blame travels like a push through a set of gears, starting at the mistake. At each step it is multiplied by how strongly one number responds to the other. A number that blame reaches along several paths adds it all up.',
      technical:
        'In reverse mode, a single pass gives the derivative with respect to every weight, at a small multiple of the cost of the forward pass. Forward mode would need a pass for each weight.',
    },
    embedding: {
      title: 'Letter and place',
      plain:
        'Every letter wears two name tags: one says which letter it is, and the other says where it is in the word. The model simply adds the two.',
      technical:
        'The positions are learned and absolute, as in GPT-2. Llama instead rotates queries and keys by an angle that grows with the position (RoPE). Adding can work because {n_embd} dimensions leave room for both.',
    },
    spotlight: {
      title: 'The spotlight',
      plain:
        'Attention is a spotlight with a fixed amount of light: more light in one place means less in another. It shines only on letters that have already been read.',
      technical:
        'Attention is a softmax over the positions so far. A head cannot attend to what is not in the growing lists, so it needs no mask. A batched implementation computes all positions at once and masks the future.',
    },
    heads: {
      title: 'Why several heads',
      plain:
        'A single spotlight can make only one mixture. With {n_head} spotlights, each with its own share of the numbers, the model can look for different things at once.',
      technical:
        '{n_head} heads of {head_dim} components cost about as much as one head of {n_embd}: the matrices are the same, and only the softmax runs once per head. One softmax is one distribution, so a head can only average what it attends to.',
    },
    residual: {
      title: 'Think, and keep the original',
      plain:
        'Each part of the model adds its notes to the earlier ones instead of replacing them, so nothing gets lost.',
      technical:
        'This is the residual stream. An addition has a local gradient of 1, so the stream gives the gradient a direct path to the first layer; without it, deep stacks are hard to train. Normalizing in front of each block (pre-norm) leaves the stream itself untouched.',
    },
    gate: {
      title: 'The gate',
      plain:
        'The gate is a row of one-way doors. A positive number walks through; a negative number stays outside. Without the doors, the two tables could do no more than a single one.',
      technical:
        'A composition of linear maps is linear, so only the nonlinearity makes depth worthwhile. If a unit is closed at a position, the gradient that it passes on there is exactly 0. GPT-2 uses GELU, and Llama uses a gated SiLU.',
    },
    surprise: {
      title: 'Surprise',
      plain:
        'Surprise is how far your eyebrows go up when you see the next letter. Being sure and right costs nothing. Being sure and wrong costs a lot. Knowing nothing costs {uniform_loss}.',
      technical:
        'Surprise is the cross-entropy in nats: −log p of the token that came next. Training lowers its mean; the exponential of that mean is the perplexity. A model that spreads its probability evenly over {vocab_size} tokens has a loss of ln {vocab_size} = {uniform_loss}.',
    },
    adam: {
      title: 'Adam versus gradient descent',
      plain:
        'Two hikers walk down the same slope. One takes longer steps where the slope is steeper. The other remembers the path so far and takes steps that do not depend on how steep the slope is, and shorter ones where the slope keeps changing direction.',
      technical:
        'm̂ / √v̂ is dimensionless, so a step is hardly longer than the learning rate, whatever the gradient’s scale is, and shorter where gradients change sign. Plain gradient descent moves by the learning rate times the gradient, which can differ by orders of magnitude between matrices.',
    },
    loop: {
      title: 'The loop',
      plain:
        'Read a name, be surprised, trace the blame, and move every weight a little. Repeat {num_steps} times. There is no other secret.',
      technical:
        'The loop is forward, backward, update. Large runs add batches, many machines, warm-up, clipping and checkpoints around these same three calls.',
    },
    temperature: {
      title: 'Temperature',
      plain:
        'A very cold model keeps saying the most likely thing, and a hot model babbles. In between, the model is worth listening to.',
      technical:
        'Dividing the scores by the [temperature](term:temperature) before the softmax raises the ratio of any two probabilities to the power of 1/T. The weights and the scores stay the same; only the choice changes.',
    },
    end: {
      title: 'End to end',
      plain:
        'Letters became numbers, numbers became scores, scores became probabilities, a die chose a letter, and the model read that letter. Nothing else happens when a machine writes.',
      technical:
        'The model is autoregressive: p(text) is the product of p(next token | tokens so far). Training maximizes this product on the training texts; sampling draws from it, one token at a time.',
    },
    scale: {
      title: '{num_params} against GPT-3',
      plain:
        'GPT-3 has 175 billion numbers like these; this model has {num_params}. If each number were a grain of sand, GPT-3 would fill a large dump truck. The recipe is the same.',
      technical:
        'GPT-3 has 96 layers, 96 heads and 12,288 dimensions (Brown et al., 2020); this model has {n_layer}, {n_head} and {n_embd}. GPT-3 reads pieces of words instead of letters, and it was trained on about 300 billion of them. Chat models are also trained on instructions and preferences; this model is not.',
    },
  },
})
