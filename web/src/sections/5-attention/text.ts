// The words of section 5. Figures of the model are filled in from the engine: {name}.
import { claim, texts, type Question, type Words } from '../../texts/texts'

const intro: Words = {
  both: ['Here the letters meet: each one looks back at the letters before it and takes something from them.'],
}

const heads: Words = {
  technical: [
    'attention(q, keys, values) = Σⱼ wⱼ vⱼ, where w is the [softmax](term:softmax) of the scores q · kⱼ / √head_dim over the positions so far ([Vaswani et al. 2017](https://arxiv.org/abs/1706.03762)). It is the only step whose cost grows with the square of the length: in each [head](term:head) and [layer](term:layer), position t compares itself with t + 1 [keys](term:key).',
    'A few bright cells do not tell you what a head is *for*. This page says what was measured: this weight, for this word, at this position. A large weight on a small [value](term:value) moves little. What a head does shows in `x_attn`, in what `attn_wo` makes of it, and in what is guessed without it.',
  ],
}

const first: Question[] = [
  {
    asks: 'Why can one look matter more than all heads together?',
    words: {
      both: [
        claim(
          'A head that does not see a letter gives that share to the others: it brings back something *else*. A head that is switched off brings back nothing, and the letter goes on with what it knew. Heads can also pull in opposite directions, so that all of them together move less than one of them alone. Try: at the second m of “emma”, hide the “e” from head 2. Then switch head 2 off, and then all.',
          "[look > one > every for look, one, every in [(ask('guesses_attending', word='emma', layer=0, head=2, position=3, skip=1)['moved'][3], *(ask('guesses_without', word='emma', layer=0, part='x_attn', numbers=[*numbers])['moved'][3] for numbers in (range(8, 12), range(16))))]] == [True]",
        ),
      ],
    },
  },
  {
    asks: { plain: 'Query, key, value: what are they, really?', technical: 'What are Q, K and V, really?' },
    words: {
      both: [
        'They are three lists of {n_embd} numbers, which each position computes from the same stream with three [matrices](term:matrix). The *query* says what this position is looking for. The *key* says what it offers to be found by. The *value* is what it hands over when it is found. Nobody told the matrices to do this: the names only say what their results are used for. Try: pick a cell in the figure above, then watch one [query](term:query) meet one [key](term:key) in “One score”.',
      ],
      plain: [
        'Think of a library. Every book has a label on its spine, the key, and text inside, the [value](term:value). You come with a slip that says what you want, the query. You hold your slip against every spine. Where it fits well you take much of the text, and where it fits badly you take a little. You never take one book: you take a blend.',
      ],
    },
  },
  {
    asks: 'Why {heads}?',
    words: {
      both: [
        claim(
          'A [softmax](term:softmax) is one blend. A single [head](term:head) cannot look closely at two places at once; it can only blur between them. So q, k and v are cut from {n_embd} numbers into pieces of {head_dim}, one piece for each head. That costs nothing extra, and each head can look somewhere else. Try: switch off one head after the other, and see how far each of them moves the guess.',
          "max(max(ask('guesses_without', word='emma', layer=0, part='x_attn', numbers=[*range(4 * h, 4 * h + 4)])['moved']) for h in range(4)) > 0.02",
        ),
      ],
    },
  },
]

const spotlight: Words = {
  plain: ['Each head has one lamp’s worth of light. It shares all of it among the letters so far.'],
  technical: ['The same weights for one position: each head distributes exactly 1.'],
}

const score: Words = {
  plain: [
    'How well does an earlier letter fit what this letter looks for? Compare two lists number by number, as you would compare two questionnaires. Agreement counts for, disagreement counts against, and strong opinions count more.',
  ],
  technical: [
    'One score is one sum: q · k / √{head_dim}. Without the division, wider heads would get larger scores, because a sum of d products of numbers of size 1 has a standard deviation of √d. The softmax would then be decided from the start, and its [gradients](term:gradient) would be close to zero.',
  ],
}

const peaked: Question = {
  asks: 'How do scores become shares?',
  words: {
    plain: [
      'Scores become shares. Stretch the scores, and the best fit takes everything; shrink them, and all get the same.',
    ],
    technical: [
      'Softmax depends on differences only. The same dial, turned on the scores of the next token in section 9, is called *temperature*: scale = 1 / [temperature](term:temperature).',
    ],
  },
}

const blend: Question = {
  asks: 'What does a letter bring back?',
  words: {
    plain: ['Each letter hands over its message in proportion to its share. The sum is what this head brings back.'],
    technical: ['The output of a head is the weighted mean of the values, component by component.'],
  },
}

const cache: Question = {
  asks: 'Where do the earlier letters wait?',
  words: {
    plain: [
      'The program keeps two lists. Every letter adds a label and a message to them, and later letters look there.',
    ],
    technical: [
      'Each call of `gpt` appends one key and one value per layer: 2 · n_layer · n_embd numbers for each position. When a large model serves long texts, this cache fills the memory rather than the weights; grouped-query [attention](term:attention) exists to make it smaller.',
    ],
  },
}

const later: Question[] = [
  {
    asks: { plain: 'Can a letter look ahead?', technical: 'Where is the mask?', both: 'Where is the mask?' },
    words: {
      both: [
        'There is none. A textbook computes all positions at once and needs a [mask](term:mask) to hide the future from the past. This program reads one position after another, so the future is simply not in its lists yet. Try: go to the first position and count the entries above, then look at the last figure of this section, where a mask does the same.',
      ],
    },
  },
  {
    asks: { plain: 'Why keep these lists while learning?', technical: 'Why a KV cache in training?' },
    words: {
      both: [
        claim(
          'Elsewhere it is a trick that makes generation fast: the keys of the past are not computed again. Here the lists are the algorithm itself, in training and in generation. They hold Values, not bare numbers. So the blame for a bad guess at the end of a name flows back through them into the keys and values of its beginning. Try: follow the relay in section 7 down to `k` and `v`; the first position gets its share of the blame there.',
          "[norm['norm'] > 0 for norm in ask('gradients', word='emma')['norms'] if norm['name'] in ('pos0.layer0.k', 'pos0.layer0.v')] == [True, True]",
        ),
      ],
    },
  },
  {
    asks: { plain: 'Why only one name at a time?', technical: 'Where is the batch?' },
    words: {
      both: [
        claim(
          'There is none either: a step reads one document, and a call reads one token. A batch adds no idea, only one more axis that keeps a GPU busy. Here the loop over positions takes its place. Try: raise `batch_size` in section 8. The curve becomes calmer, and each step takes longer.',
          "all(max(a) - min(a) > 2 * (max(b) - min(b)) for a, b in [[after('reset', config={'batch_size': size}).after('train', steps=200).curve()[100:] for size in (1, 8)]])",
        ),
      ],
    },
  },
]

const mask: Question = {
  asks: 'What if a letter could see the future?',
  words: {
    plain: [
      'Other programs compute the whole square at once and cross out the future. The result is the same. Take the crossing-out away, and each letter sees the one after it, which it should guess.',
    ],
    technical: [
      'The textbook computes all scores at once and writes −∞ over every cell where a position would look ahead. exp(−∞) is 0, so those cells get no weight and each row still sums to one.',
    ],
  },
}

const last: Question[] = [
  {
    asks: { plain: 'What happens if a letter sees the answer?', technical: 'What happens without the mask?' },
    words: {
      both: [
        'Each position then looks at the whole word, including the letter that it should guess. Whatever the [loss](term:loss) becomes, it means nothing: if you can see the answer, you are not guessing. A model trained like this can copy the answer instead of guessing it, and when it writes there is no answer to copy. Try: take the mask away in the figure above, then measure *no mask* on the workbench, where a model is trained that way.',
      ],
    },
  },
]

export default texts({
  intro,
  heads,
  first,
  spotlight,
  score,
  peaked,
  blend,
  cache,
  later,
  mask,
  last,
  headCount: '{n_head} heads',
  oneHead: 'more than one head (this model has only one)',

  where: { layer: 'layer', head: 'head', position: { plain: 'letter', technical: 'position' } },
  player: { label: 'The word’s positions', at: { plain: '“{letter}”', technical: 'position {at}, “{letter}”' } },

  matrix: {
    table: 'table',
    asTable: '{label} as a table',
    open: '{label}. Use the arrow keys to move and Enter to open a cell. {says}',
    move: '{label}. Use the arrow keys to move. {says}',
    later: '“{a}” cannot look at “{b}”, which comes later',
    looks: '{a} {t} looks at {b} {s}: {x}',
    hidden: '“{b}” is hidden from “{a}”',
  },

  figures: {
    heads: {
      title: { plain: 'Who looks at whom', technical: 'Every head, every position' },
      head: 'head {h}',
      caption: {
        plain:
          'A row is a letter that looks back; its shares (rounded here) add up to the whole. The dot is the start. Hatched: not written yet. Switch a head off, or touch a square and hide its letter from the head, and see what comes next.',
        technical:
          'Each row is one softmax: its cells are at least zero and sum to one. “·” is BOS. Hatched cells are later than the position that asks. Switch a head off, or pick a cell and take its key away, and see the next guess.',
      },
      switches: 'Switches',
      allOff: 'switch all heads off',
      allOn: 'switch all heads on',
      hide: 'hide “{letter}” from head {h}',
      sum: 'show the sum: head {h} and “{other}”',
      sees: 'let head {h} see “{letter}” again',
      decides: 'One head decides what follows',
      withoutAll: { plain: 'if no letter could look back', technical: 'without any head' },
      without: 'without head {heads}',
      blind: {
        plain: 'if head {h} did not see “{letter}” and looked at the others instead',
        technical: 'if head {h} had no key at position {s}',
      },
    },
    spotlight: {
      title: 'The spotlight',
      stage: 'Weights of all heads at position {t}',
      head: 'head {h}',
      caption: {
        plain:
          'The letter in the light looks back. Each beam is as wide as its share. The rows below keep the shares of every letter so far.',
        technical:
          'The letter in the light asks; it has no keys of later letters. Each beam is as wide as its weight, and a head’s weights sum to one. The rows below are the matrix so far.',
      },
    },
    score: {
      title: 'One score',
      at: { plain: 'looks at', technical: 'looks at' },
      sum: 'q · k',
      query: { plain: 'what “{letter}” looks for', technical: 'query at {t} “{letter}”' },
      key: { plain: 'the label on “{letter}”', technical: 'key at {s} “{letter}”' },
      product: 'product',
      bar: 'as a bar',
      total: { plain: 'total so far', technical: 'running total' },
      steps: {
        sum: { plain: 'the total', technical: 'the sum, q · k' },
        scaled: { plain: 'the score: the total ÷ {sqrt_head_dim}', technical: '{code}' },
        softmax: { plain: 'as shares', technical: 'softmax over the scores' },
      },
      without: { plain: 'if it did not see “{letter}”', technical: 'without the key at position {s}' },
      caption: {
        plain: '',
        technical:
          'Pick a cell in the matrices above, or choose the positions here. The products are added from top to bottom.',
      },
    },
    peaked: {
      title: { plain: 'From even to all-or-nothing', technical: 'From uniform to peaked' },
      scale: { plain: 'stretch the scores', technical: 'multiply scores by' },
      uniform: { plain: '0: even', technical: '0: uniform' },
      asComputed: '1: as computed',
      undivided: { plain: 'undivided', technical: 'without dividing by √{head_dim}' },
      peaked: { plain: '{most}: all or nothing', technical: '{most}: peaked' },
      scores: 'scores',
      weights: { plain: 'shares', technical: 'weights, after softmax' },
      how: 'with the scores times {scale}',
      caption: {
        plain: '',
        technical: 'The slider scales the scores; their order stays the same.',
      },
      alone: {
        plain: 'The first letter can only look at itself. Choose a later one.',
        technical:
          'Position 0 can only look at itself, so the weight is 1 whatever the score. Choose a later position.',
      },
    },
    blend: {
      title: 'The blend',
      component: { plain: 'number', technical: 'component' },
      result: { plain: 'Number {j} of what the head brings back:', technical: 'Component {j} of the head’s output:' },
      without: { plain: 'without this number', technical: 'without this component' },
      caption: {
        plain: '',
        technical:
          'Each weight is multiplied by this component of the value at its position, and the products are added up. The head does this for each of its components.',
      },
    },
    cache: {
      title: 'The lists grow',
      scroll: 'Keys and values so far',
      asks: { plain: '“{letter}” looks for', technical: '“{letter}” at position {t} asks with its query' },
      query: 'query at position {t}',
      keys: { plain: 'labels', technical: 'keys[{layer}]' },
      values: { plain: 'messages', technical: 'values[{layer}]' },
      key: 'key at position {s}',
      value: 'value at position {s}',
      score: { plain: 'fits', technical: 'score' },
      weight: { plain: 'share', technical: 'weight' },
      later: { plain: 'not there yet', technical: 'not appended yet' },
      receives: { plain: 'and brings back', technical: 'and receives the blend of the values, x_attn' },
      output: 'head output',
      caption: {
        plain: '',
        technical:
          'Head {head} owns components {first} to {last} of q, k and v. Click any number to see how it was computed.',
      },
    },
    mask: {
      title: { plain: 'Crossing out the future', technical: 'The textbook’s mask' },
      mask: { plain: 'crossing out', technical: 'mask' },
      on: 'on',
      off: 'off',
      busy: 'Recomputing the word…',
      scores: { plain: 'scores', technical: 'scores, −∞ where masked' },
      allScores: 'all scores',
      weights: { plain: 'shares', technical: 'weights: softmax of each row' },
      allWeights: { plain: 'shares, future included', technical: 'weights, including later positions' },
      sums: {
        plain: 'Each row adds up to (a last digit that is off is rounding)',
        technical: 'Sum of the weights in each row; a last digit that is off is rounding',
      },
      own: 'The edited program no longer matches the textbook; the figure shows the program’s numbers. Largest difference from the textbook’s numbers, across all heads:',
      difference: {
        plain: 'Largest difference from the growing lists:',
        technical: 'Largest difference between the masked matrices and the program’s growing lists, across all heads:',
      },
      zero: 'exactly 0',
      how: { plain: 'if it saw the whole word', technical: 'without the mask' },
    },
    unmasked: {
      scroll: 'Surprise with and without the mask',
      reads: 'reads',
      ahead: 'looks ahead',
      next: 'next letter',
      probability: { plain: 'chance', technical: 'probability' },
      probabilityNow: { plain: 'chance now', technical: 'probability now' },
      loss: { plain: 'surprise', technical: 'loss' },
      lossNow: { plain: 'surprise now', technical: 'loss now' },
      mean: { plain: 'average', technical: 'mean' },
      sight: 'The answer is now in sight, but the model was never trained to look there:',
      none: 'no next letter gets',
      every: 'every next letter gets',
      of: 'of',
      letters: 'next letters get',
      letter: 'next letters gets',
      higher: { plain: 'a higher chance than before.', technical: 'a higher probability than before.' },
      fallen: 'The loss of “{word}” has fallen.',
      risen: 'The loss of “{word}” has risen.',
      same: 'The loss of “{word}” has not changed.',
      skill: 'That says nothing about skill: a loss measures prediction only while the answer is hidden.',
      documents: 'training documents: mean loss',
      withoutMask: 'without the mask,',
      withMask: 'with it. Documents with a lower loss without the mask:',
      tryMany: 'Try {many} training documents',
      computing: 'Computing…',
    },
  },
})
