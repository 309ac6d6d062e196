// The words of section 8. Figures of the model and the data are filled in from the engine: {name}.
import { claim, texts } from '../../texts/texts'

export default texts({
  intro: {
    both: [
      'The model starts from random numbers. It reads a name, makes one small update, and reads the next. There is no other trick.',
    ],
  },

  train: {
    title: { plain: 'Watch it learn', technical: 'Training from random weights' },
    titleOf: { plain: 'Watch it learn', technical: 'Run “{name}”' },
    start: 'Train {count} steps',
    resume: 'Continue to step {count}',
    more: 'Train {count} more',
    pause: 'Pause training',
    some: 'train {count}',
    random: 'use random weights',
    shown: 'return to the trained model',
    pace: 'pace',
    paces: { watch: 'watch', once: 'at once', ten: '10 per second', one: '1 per second' },
    from: 'start from',
    fromRandom: 'random weights',
    fromModel: 'the trained model',
    showing: 'The other sections show “{name}”, at step {step}.',
    showingChanged: 'The other sections show this run, “{name}”, at step {step}.',
    curve: { plain: 'How surprised it was at each step', technical: 'Loss at each step' },
    steps: { plain: 'steps', technical: 'step' },
    loss: { plain: 'surprise (loss)', technical: 'loss, nats per token' },
    each: { plain: 'one document', technical: 'loss of each document' },
    mean: 'mean of the last {width}',
    before: { plain: '“{name}”, when it was trained', technical: '“{name}”: mean of the last {width}' },
    heldOut: { plain: 'documents it never reads', technical: 'held-out loss' },
    guessing: { plain: 'knowing nothing', technical: 'random guessing' },
    back: 'go back to step',
  },

  readout: {
    label: 'The run so far',
    doing: 'step {step} of {target}',
    done: '{step} of {planned} steps are complete.',
    beyond: '{step} steps are complete.',
    mean: { plain: 'surprise, last {width}', technical: 'loss, mean of {width}' },
    last: { plain: 'this name alone', technical: 'this document' },
    rate: { plain: 'size of a step', technical: 'learning rate' },
    speed: 'steps per second',
    read: {
      plain: 'It has read {read} of the {documents} documents.',
      technical: 'It has read {read} of the {documents} training documents, {batch} per step.',
    },
    readAll: {
      plain: 'It has read each of the {documents} documents about {times} times.',
      technical: '{read} documents read: {times} passes over the {documents} training documents.',
    },
    willRead: {
      plain: '{steps} steps will read {read} of the {documents} documents, and none of the others.',
      technical: '{steps} steps will read {read} of the {documents} training documents, {batch} per step.',
    },
    willReadAll: {
      plain: '{steps} steps will read each of the {documents} documents about {times} times.',
      technical: '{steps} steps will read {read} documents: {times} passes over the {documents} training documents.',
    },
    hidden: { plain: ' {held} more are kept back as a test.', technical: ' {held} more are held out.' },
  },

  loop: {
    title: { plain: 'The loop, once around', technical: 'The loop: one step' },
    made: 'Step {step} read',
    ahead: 'Step {step} will read',
    player: { plain: 'The four stations of a step', technical: 'One step, station by station' },
    predict: {
      title: { plain: 'Predict', technical: 'Predict: forward' },
      says: {
        plain: 'The chance that it gives to each letter before it sees it.',
        technical: 'p(letter | letters before it), at temperature 1. “end” is BOS.',
      },
    },
    measure: {
      title: { plain: 'Measure', technical: 'Measure: loss' },
      says: {
        plain: 'How much each letter surprises it. The mean is the loss.',
        technical: '−log p of each letter, in nats.',
      },
    },
    trace: {
      title: { plain: 'Trace', technical: 'Trace: backward' },
      says: {
        plain:
          'Back through every calculation: which way does each number push the loss? Here, those of the start token.',
        technical: '∂loss/∂w for the BOS row of wte.',
      },
    },
    nudge: {
      title: { plain: 'Nudge', technical: 'Nudge: Adam' },
      says: {
        plain: 'Each number moves a little. A full bar is the [learning rate](term:learning-rate) at the start.',
        technical:
          'The update of the same weights. A full bar is learning_rate, {learning_rate}. At the first step |m̂| = √v̂: every bar is full. Later, a bar is short where the gradients disagree.',
      },
    },
    chances: 'The probability of each letter',
    surprises: 'The surprise of each letter',
    gradients: { plain: 'The pull on each number', technical: 'Gradient of the BOS row of wte' },
    updates: { plain: 'How far it moved the start token', technical: 'Adam’s update to the BOS row of wte' },
    nextUpdates: {
      plain: 'How far it will move the start token',
      technical: 'Adam’s next update to the BOS row of wte',
    },
    mean: { plain: 'mean: the loss is', technical: 'loss of the step:' },
    longest: 'the longest bar:',
    end: 'end',
    each: '{index}:',
    edited: 'An edited program’s probabilities are not shown here.',
  },

  rows: {
    title: { plain: 'What it writes along the way', technical: 'Samples during training' },
    step: 'step',
    samples: 'samples',
    caption: {
      plain: 'The die falls the same way in every row, at temperature {temperature}. What does the model learn first?',
      technical: 'Seed and temperature ({temperature}) are the same in every row; only the weights differ.',
    },
    nothing: '(empty)',
  },

  after: {
    plain: [
      claim(
        'The thin line jumps because some names are stranger than others. Trust the thick one.',
        "examples['worse'][0]['loss'] > examples['familiar'][0]['loss'] + 1",
      ),
    ],
    technical: [
      claim(
        'The thin line is the program’s [loss](term:loss): one [document](term:document) per [step](term:step) (`batch_size` 1), before the update. The thick line is a running mean for the eye. A larger batch averages the [gradients](term:gradient) of several documents: a calmer curve, more work per step.',
        "all(max(a) - min(a) > 2 * (max(b) - min(b)) for a, b in [[after('reset', config={'batch_size': size}).after('train', steps=200).curve()[100:] for size in (1, 8)]])",
      ),
      'Every step is kept. The slider restores the weights bit for bit, in every section. Training from an earlier step starts a second run that shares its beginning with the first.',
    ],
  },

  questions: [
    {
      asks: 'Why does the curve begin so high?',
      words: {
        plain: [
          claim(
            'At first the model finds every letter about equally likely, and its surprise is near {uniform_loss}: that is what guessing among {vocab_size} tokens costs.',
            'all(0.2 < letter["prob"] * len(model["symbols"]) < 5 for letter in ask("progress", fresh=True)["next"]["letters"])',
          ),
        ],
      },
    },
    {
      asks: 'Can I go back?',
      words: {
        both: [
          'Yes. The page keeps your run. Pull the slider under the curve, and the model is what it was after that [step](term:step), to the last bit; every section follows. Train on from there and you have a second run with the same beginning.',
        ],
      },
    },
    {
      asks: { plain: 'Does it read one name at a time?', technical: 'Where is the batch?' },
      words: {
        technical: [
          'There is none: one document is one step. Set “batch size” below to read several documents per step.',
          'The gradient of a batch is the mean of its documents’ gradients. It points more steadily downhill, and each step costs as many times the work.',
        ],
      },
    },
    {
      asks: 'What happens after the last planned step?',
      words: {
        plain: [
          'You can train on. The [learning rate](term:learning-rate) has fallen to almost nothing by then, so it starts again at half of its first value.',
        ],
        technical: [
          'The rate falls to 0 at `num_steps`. Training beyond that doubles the plan, and the rate continues where the longer plan has it: on the straight line, from half of `learning_rate`. So the result does not depend on how many steps each click asked for.',
        ],
      },
    },
    {
      asks: 'Why does the learning rate fall?',
      words: {
        both: [
          claim(
            'Large steps find the valley; small steps find its floor. With large steps to the end, the model would keep jumping over it.',
            "all(falling < constant - 0.02 for falling, constant in [[after('reset', config={'num_steps': planned}).after('train', steps=1000).ask('evaluate')['loss'] for planned in (1000, 100000)]])",
          ),
        ],
        technical: [
          'It rises for `warmup_steps`, if there are any, then falls to 0 at `num_steps`: on a straight line, as in the original program, or on a cosine (`decay`).',
        ],
      },
    },
  ],

  memory: {
    title: { plain: 'Learned by heart?', technical: 'Read and unread documents' },
    read: { plain: 'names it has read', technical: 'documents read in training' },
    heldOut: { plain: 'names it will never read', technical: 'held-out documents' },
    unread: { plain: 'names it has not read yet', technical: 'documents not read yet' },
    label: 'Loss on documents that were read and on documents that were not',
    count: '{count} documents',
    guessing: { plain: 'knowing nothing', technical: 'random guessing' },
    nothing: 'none yet',
    elsewhere: 'This model learned another text, which is not here, so it is unknown which names it has read.',
    caption: {
      plain: 'If unread names surprise it no more than the others, it has learned what names are like, not a list.',
      technical:
        'Mean loss in nats per token over a sample of each set. A gap that is wider than the samples’ chance differences is overfitting.',
    },
  },

  settings: {
    title: { plain: 'Change the recipe', technical: 'Settings for a new run' },
    begin: 'Start a new run',
    more: 'more settings',
    yes: 'yes',
    no: 'no',
    intro: {
      plain: ['Try a learning rate ten times as large, or a model half as wide.'],
      technical: [
        'These are arguments of the program’s functions. `seed` sets the initial weights, the order of the documents and the [samples](term:sample). The session names a new run after what differs.',
      ],
    },
    fields: {
      learning_rate: {
        plain: 'learning rate: the size of a step',
        technical: '`learning_rate` size of the first step',
      },
      num_steps: { plain: 'steps', technical: '`num_steps` total updates' },
      batch_size: { plain: 'documents per step', technical: '`batch_size` documents per step' },
      n_embd: { plain: 'width: numbers per letter', technical: '`n_embd` width of the stream' },
      n_layer: { plain: 'layers', technical: '`n_layer` layers' },
      seed: { plain: 'seed: another start, another order', technical: '`seed` order, weights, samples' },
      n_head: { plain: 'attention heads', technical: '`n_head` heads that share the width' },
      block_size: { plain: 'letters it can look back', technical: '`block_size` positions the model can see' },
      warmup_steps: { plain: 'steps to reach the full rate', technical: '`warmup_steps` steps to reach the full rate' },
      beta1: { plain: 'Adam’s memory of the slope', technical: '`beta1` memory of m' },
      beta2: { plain: 'Adam’s memory of its size', technical: '`beta2` memory of v' },
      eps_adam: { plain: 'keeps Adam from dividing by 0', technical: '`eps_adam` prevents division by 0' },
      init_std: { plain: 'spread of the first random numbers', technical: '`init_std` spread of the initial weights' },
      decay: { plain: 'how the rate falls', technical: '`decay` how the rate falls' },
      activation: { plain: 'the bend inside the MLP', technical: '`activation` in the MLP' },
      zero_init: { plain: 'layers start at zero', technical: '`zero_init` layers start at zero' },
      bos_first: { plain: 'the start token is number 0', technical: '`bos_first` BOS is token 0' },
      val_fraction: { plain: 'share kept back as a test', technical: '`val_fraction` fraction held out' },
    },
  },

  pair: {
    question: {
      asks: 'Can I see where two runs diverge?',
      words: {
        both: [
          'Two runs with the same seed and settings are the same to the last digit. Change one thing, and the step and the number where they part are found. Try: another step size, another shuffle, or one changed number.',
        ],
      },
    },
    title: { plain: 'Two runs', technical: 'Two runs side by side' },
    differs: 'they differ in',
    choices: {
      learning_rate: 'learning rate',
      seed: 'seed',
      weight: { plain: 'one number', technical: 'one weight' },
      own: 'runs of your own',
    },
    names: {
      learning_rate: [
        { plain: 'long steps', technical: 'larger learning rate' },
        { plain: 'short steps', technical: 'smaller learning rate' },
      ],
      seed: ['seed {a}', 'seed {b}'],
      weight: ['untouched', 'one weight changed at step {step}'],
    },
    curve: 'Running mean of each run’s loss',
    first: 'first run',
    second: 'second run',
    option: '{name} · {count} steps',
    resume: 'continue this run',
    one: 'There is only one run so far. Start a second one with other settings, or go back to an earlier step of this run and train on from there.',
    settings: { plain: 'what differs', technical: 'different settings' },
    none: 'nothing',
    part: 'where they part',
    partAt: { plain: 'at step {step}, in the number', technical: 'step {step},' },
    and: 'and',
    same: 'nowhere: the runs are identical at every step they share',
    samplesOf: 'samples from “{name}”',
    nothing: '(empty)',
    document: { plain: 'first different name', technical: 'first different document' },
    documents: 'step {step}: “{a}” and “{b}”',
    caption: {
      plain: 'Two runs are equal, number for number, up to the first thing that differs. Here it is found.',
      technical:
        'The program is deterministic. Both runs have the same settings otherwise; the comparison finds the first step after which any weight differs, and the first such weight. The two short runs are made for this figure and change no other section.',
    },
  },

  opened: {
    title: 'Your runs',
    intro: {
      both: ['Runs that were named when the lab was started. A run that is still training is read again regularly.'],
    },
    curve: 'Running mean of each run’s loss',
    steps: '{count} steps',
    open: 'Show in every figure',
    opening: 'Opening…',
  },
})
