// The words of section 6. The model's numbers are filled in: {name}.
import { claim, texts, type Question, type Words } from '../../texts/texts'

const intro: Words = {
  both: [
    'The *loss* is the model’s surprise at what really came next, averaged over a word. Training has one goal: to make it smaller.',
  ],
}

const scale: Words = {
  plain: [
    'How much should a letter surprise the model? That depends on one number: the chance that the model had given it. Move the slider below the curve from “impossible” to “certain”.',
  ],
  technical: [
    'The [loss](term:loss) at a position is −log p of the [token](term:token) that came: cross-entropy with a target of one token. The other [probabilities](term:probability) count only because they all add up to 1.',
  ],
}

const why: Question = {
  asks: 'Why a logarithm?',
  words: {
    both: [
      'Because [probabilities](term:probability) multiply, and surprises should add. The probability of a whole word is the product of its letters’ probabilities. Its surprise is the sum of their surprises.',
    ],
    plain: [
      'Think of someone who bets on every letter and has to spread all their money over the alphabet. They keep only what they put on the letter that comes. A cautious player who puts the same on every letter always loses the same share. A player who knows something loses less, and one who is sure of the wrong letter is ruined. The [loss](term:loss) measures how far the purse shrank, and every halving counts the same.',
    ],
    technical: [
      'The unit is the *nat*, because `math.log` is the natural logarithm. One [nat](term:nat) is 1 / ln 2 bits, a little under one and a half. A probability of 0 would cost infinitely much. [Softmax](term:softmax) gives every token something, unless its logit is so far below the largest that `exp` rounds to 0. The program subtracts the largest logit before `exp` only to prevent an overflow; the probabilities stay the same.',
    ],
  },
}

const expected: Question = {
  asks: { plain: 'What did the model expect instead?', technical: 'Where did the rest of the probability go?' },
  words: {
    both: [
      'Only one number of the whole row counts: the probability of the letter that came. The others matter all the same, because they add up to 1. Whatever the model gives to other letters, it takes away from this one.',
    ],
    technical: [
      'The gradient with respect to the logits is simple: the row of probabilities, minus 1 at the target, divided by the number of positions. The update pushes the target up by what it lacks, and every other logit down by the probability that it had.',
    ],
  },
}

const meaning: Question = {
  asks: 'What does its value mean?',
  words: {
    both: [
      claim(
        'A model that knows nothing gives each of the {vocab_size} [tokens](term:token) the same probability. It is surprised by ln {vocab_size} = {uniform_loss} [nats](term:nat) every time, and an untrained model starts near there. Zero would be a model that foresees every letter. No model of names can do that: after the same beginning, many names continue in different ways. The surprise that remains, however long the model learns, is the *entropy* of the data.',
        "abs(after('reset').loss('emma') - uniform) < 0.3 and len({d[2:3] for d in documents if d.startswith('ma')}) > 10",
      ),
      claim(
        'Try: start from random weights in [section 8](#section=training), come back here, and see how near the mean is to guessing at random. Then train, and come back again.',
        "abs(after('reset').loss('emma') - uniform) < 0.3 and loss('emma') < uniform - 0.5",
      ),
    ],
    technical: [
      claim(
        'exp of the mean loss is the *perplexity*. You can’t compare losses of models with different tokens directly: a word piece carries more surprise than a character, so divide by characters or bytes first. A loss above the line is worse than knowing nothing. In a trained model single letters are often above it, because what the model gives to likely letters it takes from the others. A whole word is above it only if it is unlike most of the data.',
        "sum(loss > uniform for d in documents[::600] for loss in losses(d)) > 0.1 * sum(len(losses(d)) for d in documents[::600]) and examples['num_worse'] < 0.05 * examples['searched']",
      ),
      'The end counts as a letter too: [BOS](term:bos) after the last letter is a prediction like any other. The model ignores what lies beyond block_size, {block_size} positions, so it adds nothing to the loss.',
    ],
  },
}

const words: Words = {
  both: [
    claim(
      'A model of names is a judge of names. Type your own, or something that is no name at all: it hasn’t learned which letters exist, but what follows what.',
      "loss('qqq') > uniform > loss('emma')",
    ),
  ],
}

export default texts({
  intro,
  scale,
  why,
  expected,
  meaning,
  words,
  penalty: {
    title: {
      plain: 'How surprising is each letter of “{word}”?',
      technical: 'Loss at each letter of “{word}”: −log p',
      both: 'Surprise at each letter of “{word}”',
    },
    label: {
      plain: 'Curve from the chance of the right letter to the surprise, and a column for each letter of the word',
      technical: 'Curve of −log p, and a column for each letter of the word',
    },
    scroll: 'Each letter’s loss',
    player: { plain: 'From the chances to the average surprise', technical: 'From the probabilities to the loss' },
    before: { plain: 'before the first letter', technical: 'before the first token' },
    at: 'letter {number} of {count}: {target}',
    slider: {
      plain: 'chance that the model gave the right letter',
      technical: 'p, the probability of the right letter',
    },
    y: { plain: 'surprise', technical: 'loss (nats)' },
    uniform: { plain: 'knowing nothing', technical: 'random guessing' },
    mean: { plain: 'average', technical: 'mean' },
    select: 'Select {target} after {read}',
    shown: { plain: 'surprise', technical: '−log' },
    nats: 'nats',
    soFar: { plain: 'so far together', technical: 'sum so far' },
    all: { plain: 'all together', technical: 'sum' },
    shared: { plain: 'shared among {count} letters:', technical: 'divided by {count}:' },
    caption: {
      plain:
        'The chance of the letter that came goes up to the curve, and from there to its column. Each halving of the chance adds the same surprise. In the end, what is above the average fills what is below it. The dot is the end of the word.',
      technical:
        'Each column is a letter’s loss in nats; the mean levels them. The slope of the curve is −1 / p: the smaller p is, the harder the gradient pulls. · is BOS. Select a letter, or move the slider to any p.',
    },
    long: 'The word is too long for the model to read at once, so its end is ignored.',
  },
  row: {
    title: { plain: 'What the model expected', technical: 'What the model expected' },
    position: { plain: 'letter', technical: 'position' },
    order: 'order',
    byToken: { plain: 'by letter', technical: 'by token' },
    byProbability: { plain: 'most likely first', technical: 'by probability' },
    scroll: 'Probabilities at position {position}',
    after: 'After',
    came: ', the next letter was',
    given: {
      plain: '. The model had given it a chance of',
      technical: '. The model had assigned it a probability of',
    },
    rank: '(rank {rank} of {count}).',
    bar: '{char}: {prob}',
    actual: '{char}: {prob}, the actual next letter',
    caption: {
      plain: 'Chances are in percent. The letter that came is marked; · is the end of the word.',
      technical: 'Probabilities are in percent. The actual next letter is marked; · is BOS, the end of the word.',
    },
  },
  ruler: {
    title: 'What the loss means',
    certain: '0: certain and correct',
    uniform: { plain: 'knowing nothing', technical: 'random guessing' },
    usual: {
      plain: 'average over {count} names from the data',
      technical: 'mean loss on {count} documents from the data',
    },
    heldOut: {
      plain: 'average over {count} names that the model never saw',
      technical: 'mean loss on {count} held-out documents',
    },
    before: 'On average, each letter of',
    middle: 'surprises the model as much as the roll of a fair die with',
    after: 'sides. A model that knows nothing might as well be rolling a die with {vocab_size} sides.',
  },
  compare: {
    title: {
      plain: 'Which words surprise it?',
      technical: 'Words compared by loss',
      both: 'Words compared by surprise',
    },
    new: 'new word',
    add: 'add',
    unknown: 'The model cannot read {characters}.',
    order: 'order',
    byLoss: { plain: 'by surprise', technical: 'by loss' },
    given: 'as entered',
    scroll: 'Words and their losses',
    word: 'word',
    letters: 'letter by letter',
    loss: { plain: 'average surprise', technical: 'mean loss in nats' },
    remove: 'remove',
    removeOne: 'Remove {word}',
    use: 'Use this word in every figure',
    letter: { plain: '{char}: surprise {loss}', technical: '{char}: {loss} nats' },
    caption: {
      plain:
        'The stronger a letter’s color, the more it surprised the model. The thin line marks what knowing nothing costs.',
      technical:
        'The stronger the color of a letter’s tile, the larger its loss; the thin line across the bars marks random guessing.',
    },
    reversed: 'The same letters in reverse surprise it more: compare {one} with {other}.',
    least: 'Least surprising:',
    most: 'Most surprising:',
  },
})
