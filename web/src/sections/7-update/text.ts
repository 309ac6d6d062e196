// The words of section 7. The model's numbers are filled in: {name}.
import { claim, texts, type Question, type Words } from '../../texts/texts'

const intro: Words = {
  both: [
    claim(
      'Now the model’s numbers move a little, to make the same word less surprising. Learning is this update, repeated.',
      "ask('update', word='emma', what=[])['loss_after'] < loss('emma')",
    ),
  ],
}

const rate: Question = {
  asks: 'How far should a step go?',
  words: {
    both: [
      'Downhill is against the gradient. The *learning rate* says how far. Small steps are safe and slow. A step that is too long lands on the other side of the valley, higher up than before.',
      claim(
        'Try: move the slider to the right until the bars grow instead of shrinking.',
        "ask('update', word='emma', what=[], learning_rate=1.0)['loss_after'] > loss('emma')",
      ),
    ],
  },
}

const maps: Words = {
  plain: [
    'The program asks each of the {num_params} numbers: would the word surprise less if you were larger, or smaller, and how much? The answer is the number’s share of the blame, its [gradient](term:gradient).',
  ],
  technical: [
    '`backward` walks the graph of the whole word once and leaves d loss / d [parameter](term:parameter) in each of the {num_params} parameters.',
  ],
}

const untouched: Question = {
  asks: { plain: 'Why do some rows get no blame?', technical: 'Why are some rows exactly zero?' },
  words: {
    both: [
      claim(
        'A letter that isn’t in the word took no part in it, so its row of the letter table (`wte`) stays untouched, to the last bit. So do the places after the end of the word, and the questions that no letter answered yes to. The rows of `lm_head` are all touched: every letter that did *not* come was a candidate too, and the model gave it some of the probability.',
        "[len(ask('gradients', word='emma')['zero_rows'][name]) for name in ('wte', 'wpe', 'lm_head')] == [len(model['symbols']) - 4, 11, 0]",
      ),
    ],
  },
}

const relay: Question = {
  asks: { plain: 'How does the blame travel back?', technical: 'How do gradients flow back?' },
  words: {
    both: [
      'Think of a relay race run backwards. The [loss](term:loss) hands the blame to the scores, the scores to the last layer, and so on to the start. Each runner multiplies what it receives by its own share, and passes it on. Only the matrices on the way keep a note of what went by.',
    ],
    technical: [
      'The gradient with respect to a matrix is a sum over positions: the gradient at its output times its input, an outer product for each position. The residual stream gives gradients a way past every layer: an addition hands its gradient on unchanged to both sides, so the early layers hear from the loss directly. Where the stream meets a branch again, the two gradients add up, through the same `+=` as everywhere.',
      'Keys and values of an early position receive gradients from all later positions that looked at them: information went forward through attention, so blame comes back through it. The query of the first position gets exactly 0, because a softmax over one score is always 1.',
    ],
  },
}

const batch: Question = {
  asks: { plain: 'Does it learn from one word at a time?', technical: 'Where is the batch?' },
  words: {
    both: [
      'Each step reads one document, as in the published program. With a batch, the gradients of several documents are averaged before Adam sees them; nothing else changes.',
      'Try: `batch_size` is one of the settings in [section 8](#section=training).',
    ],
  },
}

const adam: Words = {
  plain: [
    'How far should each number move? [Adam](term:adam) keeps two memories for each: where it was heading, and how big its slopes usually are. It divides one by the other.',
  ],
  technical: [
    'Plain gradient descent moves each parameter by −learning rate · gradient. Adam keeps two running means for each parameter, m and v, and steps by their ratio.',
  ],
}

const divide: Question = {
  asks: { plain: 'Why two memories?', technical: 'Why divide by √v̂?' },
  words: {
    plain: [
      claim(
        'The first memory is like a heavy ball that keeps rolling: one odd word doesn’t turn it round. The second remembers how rough the ground is. Where slopes are always steep, one steep slope means little. Where they are always gentle, even a small one means a lot. So hardly a step is longer than the [learning rate](term:learning-rate), however big the slopes are.',
        "max(abs(d) for g, d in moves('emma')) < 2 * ask('update', word='emma', what=[])['learning_rate']",
      ),
    ],
    technical: [
      'It makes the step independent of the gradient’s scale: multiply the loss by ten, and m̂ and √v̂ both grow by ten, so Δ stays the same. The step is near ±[learning rate](term:learning-rate) where gradients agree in sign. It is shorter where they change sign, because m̂ averages them away and √v̂ doesn’t. ε ({eps_adam}) only keeps a parameter that never had a gradient from dividing by zero.',
      'Kingma and Ba, [Adam](https://arxiv.org/abs/1412.6980), 2014. Here β₁ = {beta1} and β₂ = {beta2}, a shorter memory than the usual 0.9 and 0.999, because the whole run has only {num_steps} steps.',
    ],
  },
}

const hats: Question = {
  asks: { plain: 'What does Adam do at the very first step?', technical: 'Why the hats?' },
  words: {
    both: [
      'Both memories begin at zero, and a mean that begins at zero is too small until it has seen enough. The program corrects for that: the corrected values are written with a hat, m̂ and v̂.',
      'Try: set Adam’s memory to empty in the first figure. After one step m is only a fraction of g, and m̂ is g itself.',
    ],
    technical: [
      'At step 1 with empty memory, m̂ = g and √v̂ = |g|, so every touched parameter moves by the learning rate, against its gradient’s sign. Without the corrections, the first step would be (1 − β₁)/√(1 − β₂) times as long. The corrections fade as β to the power of the step goes to zero.',
      claim(
        'A parameter whose gradient is exactly 0 now may still move, because m remembers: the embeddings of letters that aren’t in this word drift for a while. With an empty memory they stay where they are, to the last bit.',
        "any(g == 0 != d for g, d in moves('emma')) and not any(g == 0 != d for g, d in moves('emma', fresh=True))",
      ),
    ],
  },
}

const steps: Question = {
  asks: { plain: 'Do all numbers move equally far?', technical: 'How long is each parameter’s step?' },
  words: {
    plain: [
      claim(
        'No, but their steps differ far less than their slopes, and hardly a dot is above the dashed line, the [learning rate](term:learning-rate). With steps as long as the slopes, they would lie on the slanting line.',
        "all(sum(g for g, d in steep) > 20 * sum(g for g, d in gentle) and sum(d for g, d in steep) < 3 * sum(d for g, d in gentle) for all_ in [sorted((abs(g), abs(d)) for g, d in moves('emma') if g)] for gentle, steep in [(all_[: len(all_) // 3], all_[-(len(all_) // 3) :])]) and max(abs(d) for g, d in moves('emma')) < 2 * ask('update', word='emma', what=[])['learning_rate']",
      ),
    ],
    technical: [
      claim(
        'With plain gradient descent, every dot would lie on the slanting line: gradients differ by several powers of ten, so the steps would too, and one learning rate couldn’t suit them all. Adam’s steps differ far less, and hardly one is above the dashed line, the learning rate.',
        "all(sum(g for g, d in steep) > 20 * sum(g for g, d in gentle) and sum(d for g, d in steep) < 3 * sum(d for g, d in gentle) for all_ in [sorted((abs(g), abs(d)) for g, d in moves('emma') if g)] for gentle, steep in [(all_[: len(all_) // 3], all_[-(len(all_) // 3) :])]) and max(abs(d) for g, d in moves('emma')) < 2 * ask('update', word='emma', what=[])['learning_rate']",
      ),
    ],
  },
}

const hikers: Question = {
  asks: {
    plain: 'How do two hikers find the valley?',
    technical: 'How do gradient descent and Adam find a minimum?',
    both: 'How do two hikers find the valley? Gradient descent against Adam',
  },
  words: {
    both: [
      'Two of the model’s numbers make a landscape. Its height is the real loss of “{word}”, computed at every point of a grid; all other numbers stay fixed. Two hikers set out from where the model is.',
    ],
  },
}

const hiking: Question = {
  asks: 'Does Adam always win?',
  words: {
    both: [
      claim(
        'No. With a smaller step, plain descent can do as well on a single map: try its slider. But the model has {num_params} numbers, some on steep ground and some on gentle ground, and one learning rate has to suit them all. Adam measures the ground for each of them.',
        "all(h['calm']['loss'] <= h['surface']['hikers'][1]['path'][-1]['loss'] for h in [ask('hike', word='emma', scene='ravine')])",
      ),
      claim(
        'And neither hiker sees the map. Each feels only the slope under its feet. Between two valleys, both settle in the nearest one, even if the other is deeper: try “two valleys”.',
        "ask('hike', word='emma', scene='valleys')['found']",
      ),
    ],
    technical: [
      claim(
        'In a ravine the curvatures differ much, which is what ill-conditioned means. Gradient descent is stable only below 2 / (largest curvature); its speed along the floor depends on the smallest. Adam rescales each axis. Raise Adam’s learning rate and it runs past the valley and swings back: momentum, of about 1 / (1 − β₁) steps. Real training walks in {num_params} dimensions, and on another landscape at every step, because each word has its own.',
        "all(s['hikers'][1]['turns'] > 0 for h in [ask('hike', word='emma', scene='ravine')] for s in [ask('surface', word='emma', x=h['surface']['x']['path'], y=h['surface']['y']['path'], size=h['size'], reach=h['reach'], across=h['across'], up=h['up'], steps=h['steps'], learning_rate=1.0)])",
      ),
    ],
  },
}

const decay: Question = {
  asks: 'Why does the learning rate fall during training?',
  words: {
    both: [
      claim(
        'Adam’s steps don’t shrink with the slopes near the bottom, because it divides by their usual size. So the program shortens them: long strides to get into the right valley, short ones to settle in it.',
        "all(falling < constant - 0.02 for falling, constant in [[after('reset', config={'num_steps': planned}).after('train', steps=1000).ask('evaluate')['loss'] for planned in (1000, 100000)]])",
      ),
    ],
    technical: [
      'In the published program the rate falls linearly to zero. Large runs let the rate rise first, while Adam’s memory is still short, and then fall along half a wave of a cosine, which stays high for longer and ends more gently.',
      'Try: `warmup_steps` and `decay` are among the settings of [section 8](#section=training).',
    ],
  },
}

export default texts({
  intro,
  rate,
  maps,
  untouched,
  relay,
  batch,
  adam,
  divide,
  hats,
  steps,
  hikers,
  hiking,
  decay,
  learn: {
    title: {
      plain: 'One lesson: “{word}”, before and after',
      technical: 'One update on “{word}”',
    },
    scroll: 'Each letter’s loss before and after the update',
    before: { plain: 'surprise before', technical: 'loss before' },
    after: { plain: 'surprise after', technical: 'loss after' },
    letter: '{letter}: {before} before, {after} after',
    rate: { plain: 'length of the step', technical: 'learning rate' },
    scheduled: { plain: 'as in training', technical: 'as scheduled' },
    memory: 'Adam’s memory',
    known: 'from the run so far',
    empty: 'empty, as at step 1',
    isEmpty: 'Adam’s memory: empty',
    caption: {
      plain: 'Each pair of bars is a letter of the word: pale before the lesson, strong after it.',
      technical: 'Each pair of bars is a letter’s loss: pale before the update, strong after it.',
    },
    copy: 'Every setting is tried on a copy.',
    unknown: 'Adam’s m and v are not known for this model, so Adam starts from scratch here, at step {step}.',
    fresh: 'At step {step}, Adam’s memory is empty.',
    step: 'For Adam, this would be step {step}.',
    far: 'This step is too long: the surprise grows.',
  },
  gradients: {
    title: {
      plain: 'Which numbers are to blame?',
      technical: 'Gradients of all {num_params} parameters',
      both: 'Which of the {num_params} parameters are to blame? Their gradients',
    },
    scale: {
      plain: 'compare the tables (otherwise each has its own scale)',
      technical: 'use one scale for all matrices (otherwise each has its own)',
    },
    layer: 'layer {layer}',
    rows: { plain: 'of {rows} rows get no blame', technical: 'of {rows} rows are exactly 0:' },
    why: {
      wte: 'tokens not in the word',
      wpe: 'positions past the end of the word',
      mlp_fc1: 'gates closed at every position',
      other: 'no gradient reached them',
    },
    caption: {
      plain:
        'The stronger a square’s color, the more its number is to blame. Colored: it should shrink; gray: it should grow. A bar beside a row: no blame.',
      technical:
        'A colored cell means that the loss grows with the parameter, so the update decreases it. A gray cell means the opposite. A bar beside a row marks a gradient of exactly zero. Choose a cell to follow its parameter through Adam below.',
    },
  },
  path: {
    title: {
      plain: 'How the blame travels back',
      technical: 'Gradient norms, from the loss back to the embeddings',
      both: 'How the blame travels back: gradient norms',
    },
    player: 'Backward through the model',
    describe: '{at} of {count}: {stage}',
    scroll: 'Gradient magnitude, stage by stage',
    head: 'head {head}',
    position: '{read} → {target}',
    matrices: { plain: 'the tables that take notes', technical: 'matrix gradients' },
    slider: 'head',
    positionLoss: 'pos. loss',
    caption: {
      plain:
        'Read it from top to bottom. Each cell says how much blame arrives at one stage and one letter: the stronger its color, the more. The line on the left is the model’s main road; two side roads, thinking and looking back, leave it and return.',
      technical:
        'Each cell shows the length (the square root of the sum of squares) of the gradient with respect to that vector, at the position that reads one letter and predicts the next. The line on the left is the residual stream; the MLP and the attention branch off it. The colors of `loss` and `probs` are clipped.',
    },
  },
  one: {
    title: { plain: 'Adam decides how far one number moves', technical: 'Adam, for one parameter' },
    parameter: { plain: 'number', technical: 'parameter' },
    steepest: { plain: 'the one most to blame', technical: 'the steepest' },
    unused: {
      plain: 'one that the word does not use',
      technical: 'a parameter that the word does not use',
    },
    player: 'Adam, line by line',
    describe: '{at} of {count}: {row}',
    row: '(row {row})',
    derivative: 'd loss / d parameter',
    before: 'before',
    plain: 'plain',
    adam: 'Adam',
    rows: {
      g: {
        name: { plain: 'slope', technical: 'g' },
        says: {
          plain: 'how fast the surprise grows',
          technical: 'the gradient for this word',
        },
      },
      m: {
        name: { plain: 'heading', technical: 'm' },
        says: {
          plain: 'the slopes so far, averaged',
          technical: 'the direction so far: a running mean of gradients',
        },
      },
      v: {
        name: { plain: 'usual size', technical: 'v' },
        says: {
          plain: 'how big they usually are (squared)',
          technical: 'the usual size of gradients here: a running mean of squared gradients',
        },
      },
      mHat: { name: 'm̂', says: 'm, corrected for starting at zero' },
      vHat: { name: 'v̂', says: 'v, corrected the same way' },
      delta: {
        name: { plain: 'step', technical: 'Δ' },
        says: {
          plain: 'against the heading, over the usual size',
          technical: 'the step: against m̂, in units of the usual size',
        },
      },
    },
    caption: {
      plain: 'Zero is in the middle of each bar; *plain* is the step without Adam.',
      technical:
        'Zero is in the middle of each bar, and each line has its own scale. *plain* is the step of plain gradient descent with the same learning rate: −rate · g. Numbers in these formulas may be rounded; the final value is the program’s.',
    },
  },
  pick: { matrix: '{label}: matrix', row: '{label}: row', column: '{label}: column' },
  all: {
    title: { plain: 'How far each number moves', technical: 'How far each parameter moves' },
    label: 'Scatter plot of step size against gradient magnitude, with one dot per parameter',
    gradient: { plain: 'size of the slope', technical: 'gradient magnitude' },
    step: { plain: 'length of the step', technical: 'step size' },
    embedding: { plain: 'letters and places', technical: 'embeddings' },
    attention: { plain: 'looking back', technical: 'attention' },
    mlp: { plain: 'thinking', technical: 'MLP' },
    loss: { plain: 'scores', technical: 'lm_head' },
    rate: 'the learning rate,',
    plain: { plain: 'without Adam', technical: 'plain gradient descent' },
    waiting: 'This figure will appear as soon as Python is ready.',
    failed: 'This figure needs Python, which failed to start.',
    caption: {
      plain: 'Each dot is one of the model’s numbers: further right, a bigger slope; higher up, a longer step.',
      technical:
        'Each dot is a parameter; click one to show it above. The parameters along the left edge have a gradient of exactly 0.',
    },
    fresh:
      'Adam’s memory is empty, so every parameter that the word uses moves by the learning rate, whatever its gradient;',
    still: 'of {count} parameters do not move at all.',
    drift: 'Many of them still move, because m remembers earlier words.',
  },
  hike: {
    title: {
      plain: 'Two hikers look for the valley',
      technical: 'Gradient descent and Adam on a real loss surface',
      both: 'Two hikers: gradient descent and Adam on a real loss surface',
    },
    scene: 'landscape',
    ravine: 'a ravine',
    valleys: 'two valleys',
    map: 'Loss as a function of {x} and {y}, with the paths of plain gradient descent and Adam',
    player: 'The hike',
    describe: 'step {at} of {count}',
    scroll: 'The hikers’ positions',
    hiker: 'hiker',
    sgd: { plain: 'plain descent', technical: 'gradient descent' },
    adam: 'Adam',
    rate: { plain: 'length of step', technical: 'learning rate' },
    loss: { plain: 'height (surprise)', technical: 'loss' },
    turns: { plain: 'steps back', technical: 'steps back (Δₜ · Δₜ₋₁ < 0)' },
    sgdRate: { plain: 'step of plain descent', technical: 'learning rate of gradient descent' },
    adamRate: { plain: 'step of Adam', technical: 'learning rate of Adam' },
    reset: 'reset',
    other: 'Choose two other numbers',
    across: 'across',
    up: 'up',
    same: 'Choose two different parameters.',
    caption: {
      plain:
        'The stronger the color, the higher the ground. Both hikers start at the ring. The cross is the lowest point of the map.',
      technical:
        'The stronger the color, the higher the loss; contour lines join points of equal loss. Both start at the ring, where the model is, with all other parameters fixed. The cross is the lowest point of the grid. The color is clipped at high losses.',
    },
    overshoots: {
      plain: 'Plain descent jumps from one wall of the ravine to the other. Adam walks along its floor.',
      technical:
        'Gradient descent overshoots the steep direction at every turn; Adam rescales both directions and walks along the floor.',
    },
    calmAt: { plain: 'With a step of', technical: 'At a learning rate of' },
    calm: {
      plain: ', plain descent never turns back, and ends at a height of',
      technical: ', gradient descent never turns back, and ends at a loss of',
    },
    settles: {
      plain: 'Both settle in a valley. The lowest point of the map is elsewhere, at a height of',
      technical: 'Both settle in a local minimum. The lowest point of the map is elsewhere, at a loss of',
    },
    products:
      'The program multiplies these two numbers with each other, so both can grow or both can shrink: there can be a valley on either side.',
    none: 'The search found no such landscape for this word and model. The map shows the two parameters with the largest gradients.',
  },
  falls: {
    title: { plain: 'The steps get shorter', technical: 'The learning rate falls' },
    label: 'Learning rate from the first step to the last',
    rate: 'learning rate',
    step: 'step',
    at: 'The model is at step {at} of {steps}.',
    finished:
      'The schedule is finished; further training doubles its length, so the next step would use a learning rate of',
    next: 'The next step would use a learning rate of',
  },
})
