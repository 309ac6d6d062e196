// The words of section 0. Facts about the model are filled in: {name}.
import { texts } from '../../texts/texts'

export default texts({
  lead: {
    both: ['A [GPT](term:gpt) made up these names, letter by letter.'],
  },
  onward: {
    both: [
      'This is the kind of program that answers in a chat window, small enough to see all of it: {num_params} numbers and one Python file. Each stage above has its own section.',
    ],
  },
  names: {
    title: 'Names the model makes up',
    isNew: 'new',
    copied: { plain: 'copied', technical: 'in the data' },
    unread: { plain: 'real, never read', technical: 'held out' },
    more: 'More names',
    counted: '{new} of {count} are new,',
  },
  map: {
    title: {
      plain: 'How it writes “{word}”',
      technical: 'Forward pass of “{word}”',
    },
    start: { plain: 'start', technical: 'BOS' },
    end: { plain: 'end', technical: 'BOS' },
    choose: 'Letters of the word',
    player: { plain: 'The way of each letter', technical: 'The way of each token' },
    at: { plain: '“{letter}”: {station}', technical: '{letter}: {station}' },
    position: 'Show the guess after “{letter}”',
    strip: { plain: 'The numbers of “{letter}”', technical: 'Embedding of “{letter}”' },
    head: 'head {head}',
    looks: { plain: 'How much head {head} takes from each letter', technical: 'Attention weights of head {head}' },
    units: { plain: 'Detectors', technical: 'Units of the MLP' },
    scores: { plain: 'The score of each letter', technical: 'Logits' },
    bars: { plain: 'The likeliest next letters', technical: 'Most likely next tokens' },
    legend: {
      plain:
        'Choose a name above, and see it written. Every square is one number. Color means above zero, gray below; the stronger, the larger.',
      technical:
        'Choose a name above, and see it written. Every cell is a number of the running program. Open one to see the sum that produced it.',
    },
    letters: {
      title: { plain: 'Read', technical: 'Tokens', both: 'Read: tokens' },
      says: {
        plain: 'Letters become numbers. Click any letter.',
        technical: 'Each character becomes a token id. Click one.',
      },
    },
    embed: {
      title: { plain: 'Embed', technical: 'Embedding', both: 'Embedding' },
      says: {
        plain: 'Each becomes a row of {n_embd} numbers.',
        technical: 'Rows of `wte` and `wpe` add up to {n_embd} numbers.',
      },
    },
    look: {
      title: { plain: 'Look back', technical: 'Attention', both: 'Look back: attention' },
      says: {
        plain:
          'Now “{letter}” looks back. Each of {n_head} heads takes something from the letters so far: the stronger the square, the more.',
        technical: 'The weights of each of the {n_head} heads over the positions so far; each row adds up to 1.',
      },
    },
    think: {
      title: { plain: 'Think', technical: 'MLP', both: 'Think: MLP' },
      says: {
        plain: '{four_n_embd} questions are asked about what was gathered. A colored square is a yes.',
        technical: 'The {four_n_embd} units after the activation; an empty cell is a unit that is zero.',
      },
    },
    score: {
      title: { plain: 'Score', technical: 'Logits', both: 'Score: logits' },
      says: {
        plain: 'Every letter gets a score for coming next.',
        technical: '`lm_head` gives each of the {vocab_size} tokens a logit.',
      },
    },
    guess: {
      title: { plain: 'Guess', technical: 'Probabilities', both: 'Guess: probabilities' },
      says: {
        plain: 'Scores become chances that add up to one. A die picks a letter.',
        technical: 'Softmax of the logits; sampling picks one token at random.',
      },
    },
    real: 'What really came next:',
    yours: 'Your word continues with:',
    yoursEnds: 'Your word ends here:',
    chance: { plain: 'chance', technical: 'probability' },
    surprise: { plain: 'surprise', technical: 'loss' },
    meaning: {
      plain: '(0 if it had been certain, {uniform_loss} if it knew nothing)',
      technical: '(−log of that probability, in nats)',
    },
  },
})
