// The words of section 9. Facts about the model are filled in: {name}.
import { claim, texts } from '../../texts/texts'

export default texts({
  lead: {
    both: [
      'Every letter has a chance of coming next, and a die picks one. So a name grows, until the die lands on the end.',
    ],
  },
  end: { plain: 'end', technical: 'BOS' },
  letters: {
    title: 'One letter at a time',
    player: { plain: 'The letters of the name', technical: 'The sample’s tokens' },
    before: { plain: 'before the first letter', technical: 'before the first token' },
    letter: 'letter {number}: {char}',
    ended: { plain: 'the end', technical: 'BOS: the end' },
    bars: { plain: 'Chance of each letter', technical: 'Probability of each token' },
    temperature: 'temperature',
    topK: { plain: 'only the likeliest', technical: 'top-k' },
    all: 'all',
    begins: 'begins with',
    another: 'Generate another name',
    caption: {
      plain:
        'Each letter owns a stretch of the line as wide as its chance. The die is a dart thrown at the line without looking.',
      technical:
        '`rng.choices` draws one `random()` and looks it up in the cumulative weights: inverse transform sampling. Everything else is deterministic.',
    },
  },
  die: {
    label: 'The die landed on {chance}, in the stretch of {letter}',
    line: {
      plain: 'The line from 0 to 1, with a stretch for each letter',
      technical: 'The line from 0 to 1, with an interval for each token',
    },
    landed: { plain: 'The die landed in the stretch of', technical: 'The die landed in the interval of' },
    chance: { plain: 'whose chance is', technical: 'whose probability is' },
  },
  temperature: {
    title: { plain: 'Careful or daring: the temperature', technical: 'The same logits, from cold to hot' },
    player: 'From cold to hot',
    at: 'at {temperature}',
    words: {
      plain: [
        claim(
          'A cold model takes the safest letters, and its names repeat. A hot one gives unlikely letters nearly as good a chance and writes noise. In between, it is inventive.',
          "[n < 70 for n in [len({*ask('samples', seed=7, count=100, temperature=t)['texts']}) for t in (0.2, 0.5)]] == [True, False] and max(chances('', 2).values()) < 0.1 and ask('samples', seed=7, count=100, temperature=2)['new'] > 90 and ask('samples', seed=7, count=10, temperature=0.5)['new'] > 5",
        ),
      ],
      technical: [
        'The [logits](term:logit) are divided by the [temperature](term:temperature) before the [softmax](term:softmax). That keeps their order and changes only how far the likely [tokens](term:token) stand out.',
      ],
    },
    names: { plain: 'Ten names at this temperature', technical: 'Ten samples at this temperature' },
    cold: 'cold',
    yours: 'now',
    hot: 'hot',
    bars: { plain: 'Chances of the first letter', technical: 'Probabilities of the first token' },
    fresh: { plain: '{count} of {all} are new', technical: '{count} of {all} are not in the data' },
    copied: { plain: 'listed', technical: 'in the data' },
    legend: {
      plain: 'The bars show the chances of the first letter. An underlined name is in the list.',
      technical:
        'The bars show the first token that is sampled. All samples use the same seed; an underlined sample is in the data.',
    },
  },
  novelty: {
    title: 'New or copied?',
    isNew: {
      plain: 'is not in the list. The model made it up.',
      technical: 'is not a document of the data.',
    },
    trained: {
      plain: 'is in the list: the model has copied it.',
      technical: 'is a training document: the model has reproduced it.',
    },
    heldOut: {
      plain: 'is in the list, in the part that the model never read: it found this name by itself.',
      technical: 'is a held-out document: the model generated it without having read it.',
    },
    listed: {
      plain: 'is in the list that comes with this page.',
      technical: 'is in the bundled list, which this model was not trained on.',
    },
    unlisted: {
      plain: 'is not in the list that comes with this page.',
      technical: 'is not in the bundled list, which this model was not trained on.',
    },
    nearest: { plain: 'most similar in the list', technical: 'nearest documents' },
    distance: { plain: 'letters to change', technical: 'edit distance' },
    wait: 'Another name, until the one above is finished.',
    finish: 'Finish it',
    caption: {
      plain: 'Letters to change: those to add, remove or replace.',
      technical: 'Edit distance: insertions, deletions and replacements of one character (Levenshtein).',
    },
  },
  frequencies: {
    title: { plain: 'Is the die fair?', technical: 'Do the frequencies match the probabilities?' },
    throw: 'Sample {count} names',
    legend: {
      plain: 'Bar: the chance of each first letter. Mark: how often it came.',
      technical: 'Bar: probability of each first token. Mark: its frequency.',
    },
    words: {
      both: ['If the chances are true, the first letters of many names come as often as promised. Try it.'],
    },
  },
  questions: [
    {
      asks: 'Why not always take the likeliest letter?',
      words: {
        plain: [
          claim(
            'Then every name would be the same: the same beginning always leads to the same likeliest letter. Try it: let only the likeliest letter through (1), and generate a few names.',
            "len({ask('generate', seed=42, index=index, temperature=0.5, top_k=1)['text'] for index in range(5)}) == 1",
          ),
        ],
        technical: [
          'As the temperature goes to 0, sampling becomes the argmax, and every [sample](term:sample) is the same. At 1 it is the distribution that was trained; as it grows, the distribution approaches the uniform one, with an entropy of ln {vocab_size} nats. Top-k works differently: it keeps the k most likely tokens and sets the others to zero. Neither is part of the model.',
        ],
      },
    },
    {
      asks: 'Where does the chance come from?',
      words: {
        plain: [
          'Only from the die. The model computes the same chances every time; with the same [seed](term:seed), the die also falls the same way, so this page can repeat any name.',
        ],
        technical: [
          'The model is deterministic. Each sample has its own generator, `Random("seed:i")`, as in `microgpt sample`, so sample i does not depend on how many samples were drawn before it.',
        ],
      },
    },
    {
      asks: 'How does it know when to stop?',
      words: {
        plain: [
          'The end is a symbol like any letter, and it has a chance too. When the die lands on it, the name is finished.',
        ],
        technical: [
          'BOS ends every training document, so the model learned to predict it. Sampling stops at [BOS](term:bos), or after `block_size` tokens.',
        ],
      },
    },
  ],
})
