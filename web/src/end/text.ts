// The words of the end: one signal through all stages, the tree of the parameters, one scale, and who made what.
import { texts } from '../texts/texts'

export default texts({
  after: 'after the last line',
  title: 'The big picture',
  remember: 'What to remember',
  watch: 'watch it in the “{chapter}” chapter',
  leave: 'Return to the guide',

  signal: {
    title: { plain: 'All of it for “{word}”', technical: 'One signal through all stages: “{word}”' },
    player: 'The stages in order',
    likeness: 'Think of {likeness}.',
    open: 'Play “{chapter}”',
    start: { plain: 'start', technical: 'BOS' },
    end: { plain: 'end', technical: 'BOS' },
    head: { plain: 'How much head {head} takes from each letter', technical: 'Attention weights of head {head}' },
    documents: { plain: '{count} texts', technical: '{count} documents' },
    bars: { plain: 'The likeliest next letters', technical: 'Most likely next tokens' },
    nats: { plain: '{loss}, on average over the letters', technical: '{loss} nats, the mean over the positions' },
    times: { plain: '{count} shares of blame', technical: '+= {count} times' },
    first: { plain: 'knowing nothing', technical: 'uniform guess' },
    now: { plain: 'the last names of the run', technical: 'running mean of the run' },
    caption: {
      plain: 'The numbers are those of “{word}” and of its last letter.',
      technical: 'The tensors are those of the last position of “{word}”.',
    },
  },
  stages: {
    data: {
      title: { plain: 'Read and shuffle', technical: 'Data' },
      is: {
        plain: 'The names are read and shuffled.',
        technical: 'The documents, shuffled once with the seed {seed}.',
      },
      likeness: 'a stack of flash cards',
    },
    tokens: {
      title: { plain: 'Number the letters', technical: 'Tokens' },
      is: {
        plain: 'Each letter gets a number, and a mark stands at both ends.',
        technical: 'Each character becomes an id; BOS stands at both ends.',
      },
      likeness: 'a cloakroom: you hand in a letter and get a ticket',
    },
    embed: {
      title: { plain: 'Embed', technical: 'Embedding' },
      is: {
        plain: 'The letter and its place become {n_embd} numbers.',
        technical: 'A row of `wte` plus a row of `wpe`: {n_embd} numbers.',
      },
      likeness: 'two name tags: one for the letter, one for its place',
    },
    look: {
      title: { plain: 'Look back', technical: 'Attention' },
      is: {
        plain: 'The letter takes something from the letters before it.',
        technical: '{n_head} heads blend the values of the positions so far.',
      },
      likeness: 'spotlights, each with a fixed amount of light',
    },
    think: {
      title: { plain: 'Think', technical: 'MLP' },
      is: {
        plain: '{four_n_embd} questions are asked about what was gathered.',
        technical: '{n_embd} → {four_n_embd} → {n_embd}, with the activation between.',
      },
      likeness: 'a committee in which only a yes is heard',
    },
    guess: {
      title: { plain: 'Guess', technical: 'Probabilities' },
      is: {
        plain: 'Every letter gets a chance to come next.',
        technical: '`lm_head` gives {vocab_size} logits; softmax makes them probabilities.',
      },
      likeness: 'bets on a race: together they make one whole',
    },
    loss: {
      title: { plain: 'Be surprised', technical: 'Loss' },
      is: {
        plain: 'The smaller the chance of what came, the larger the surprise.',
        technical: '−log of the probability of the next token, averaged over the word.',
      },
      likeness: 'how far your eyebrows rise',
    },
    blame: {
      title: { plain: 'Trace the blame', technical: 'Backward' },
      is: {
        plain: 'Every number learns what its part in the surprise was.',
        technical: 'The chain rule, from the loss back to every parameter.',
      },
      likeness: 'a push through gears, from the last wheel to the first',
    },
    nudge: {
      title: { plain: 'Nudge', technical: 'Adam' },
      is: {
        plain: 'Every weight moves a little against its blame.',
        technical: 'Each parameter moves against its mean gradient, over that gradient’s usual size.',
      },
      likeness: 'a hiker in fog, who feels the slope and takes careful steps',
    },
    again: {
      title: { plain: 'Again', technical: 'The loop' },
      is: {
        plain: 'The next name, {num_steps} times in all.',
        technical: 'Forward, backward, update: {num_steps} times.',
      },
      likeness: 'practice, one flash card after another',
    },
    write: {
      title: { plain: 'Write', technical: 'Sampling' },
      is: {
        plain: 'A die picks a letter, the model reads it, and so on to the end.',
        technical: 'Draw a token, read it, and go on until BOS.',
      },
      likeness: 'a loaded die, thrown until it says stop',
    },
  },

  tree: {
    title: { plain: 'Everything it knows', technical: 'The architecture, from shapes()' },
    all: { plain: 'all {num_params} numbers', technical: 'state_dict: {num_params} parameters' },
    layer: 'layer {layer}',
    others: { plain: '{count} more layers like it', technical: 'layers 1 to {last}: the same shapes' },
    attention: { plain: 'look back', technical: 'attention' },
    mlp: { plain: 'think', technical: 'MLP' },
    shape: '{rows} × {columns}',
    caption: {
      plain:
        'Each bar is a table of numbers, as long as the table is large. Training changed these numbers, and nothing else.',
      technical: 'Rows × columns of each matrix, from `shapes`. A bar’s length is its share of the parameters.',
    },
  },

  scale: {
    title: '{num_params} and 175 billion on one scale',
    player: 'Ten times as many numbers in a pixel',
    at: { plain: 'each dot is {count} numbers', technical: '1 px is {count} parameters' },
    here: 'this model',
    screens: 'goes on for {count} times this width',
    width: { plain: '{count} dots wide', technical: '{count} px' },
    caption: {
      plain: 'Every bar has the same scale. Step by step, a dot of the screen stands for ten times as many numbers.',
      technical: 'One linear scale for all bars. Each step puts ten times as many parameters into a pixel.',
    },
  },

  credits: {
    title: 'Who made what',
    last: 'This file is the complete algorithm. Everything else is just efficiency.',
    source: '[Andrej Karpathy, microgpt.py](https://gist.github.com/karpathy/8627fe009c40f57531cb18360106ce95)',
    made: [
      'The algorithm is Andrej Karpathy’s: a [gist](https://gist.github.com/karpathy/8627fe009c40f57531cb18360106ce95) of 200 lines, which his [blog post](https://karpathy.github.io/2026/02/12/microgpt/) explains. It grew out of his micrograd, makemore and nanoGPT.',
      'This page, its reference, its engines and its list of names are by the microgpt maintainers, under the MIT license. Every number on it is computed in your browser. The [notebook](./microgpt.ipynb) has the same program in pieces that you can run.',
      'The page is built with other people’s software: [its licenses](./licenses.txt).',
    ],
  },
})
