// The words of section 10.
import { texts } from '../../texts/texts'

export default texts({
  intro: {
    both: [
      'One file computed everything you have seen. Change it, run it, break it: nothing can go wrong, and one click brings it back.',
    ],
  },

  program: {
    title: 'reference.py',
    run: 'Run',
    stop: 'Stop',
    use: 'Use in all figures',
    checking: 'Checking…',
    shown: 'Reset figures to the names model',
    reset: 'Reset the file',
    save: 'Save the file',
    data: 'training data',
    same: 'All figures now use this program',
    other: 'All figures now use a different version of the program',
    edited: '; edited:',
    unedited: ', unedited.',
    note: '{note}.',
    original: 'This is the unedited file from the package.',
    preset: 'One of the preset changes has been made to this program; see below.',
    editor: 'The program (editable)',
    help: 'Tab indents. To leave the editor with the keyboard, press Escape, then Tab.',
    text: 'The program',
  },

  output: {
    starting: 'Starting a separate Python instance…',
    running: 'Running {what}…',
    stopped: 'Stopped after {seconds} seconds.',
    failed: 'Failed after {seconds} seconds.',
    finished: 'Finished after {seconds} seconds.',
    hide: 'hide output',
    error: 'Error message',
    label: 'Program output',
    moreOne: 'The output is too long to show in full: {count} line is hidden.',
    more: 'The output is too long to show in full: {count} lines are hidden.',
    program: 'the program',
    memory: 'the program ran out of memory',
    crashed: 'Python crashed while running this program',
  },

  diff: {
    one: 'Changes: {added} line added, {gone} removed',
    summary: 'Changes: {added} lines added, {gone} removed',
    label: 'The changed lines',
    original: 'original line',
    new: 'new line',
    change: 'change',
    text: 'text',
    added: 'added',
    removed: 'removed',
  },

  changes: {
    title: 'Changes to try',
    label: 'Changes to the program',
    everyday: {
      gelu: 'a softer bend',
      no_residual: 'no way around the layers',
      layernorm: 'another way to keep sizes even',
      no_scale: 'larger scores',
      no_mask: 'let it peek ahead',
      sgd: 'the same step size for all',
      tied: 'one letter table instead of two',
      two_layers: 'two layers',
      first: 'the first version',
    },
    steps: 'steps',
    compare: 'Compare with the original program',
    measure: 'Measure the original program',
    original: 'the original program',
    yours: 'your program',
    stop: 'Stop',
    starting: 'Starting Python…',
    running: 'Running {what}…',
    clear: 'Clear',
    curve: 'Running mean of each program’s printed loss',
    x: 'step',
    y: { plain: 'surprise (loss)', technical: 'loss, nats per token' },
    guessing: 'random guessing',
    program: 'program',
    first: 'first loss',
    last: 'mean of the last {tail} losses',
    caption: {
      plain: 'Each button is a real edit of the text above. Guess first what it does to the loss, then measure.',
      technical:
        'Real edits of the text, from the history of GPTs. Both programs run with the same seed, the same documents in the same order, and the same first weights where the sizes are the same.',
    },
  },

  pair: {
    title: 'Train both programs',
    steps: 'steps',
    stop: 'Stop',
    start: 'Train both the original program and yours',
    testing: 'Testing the program…',
    original: 'Training with the original program…',
    yours: 'Training with your program…',
    name: 'the original program',
    caption: 'The original runs in the compiled kernel and yours in Python, so yours takes longer.',
  },

  pytorch: {
    question: {
      asks: 'Who writes models like this?',
      words: {
        both: [
          'Nobody writes a large one like this. Beside each line stands its PyTorch equivalent; put together, they are a program with the same [losses](term:loss) and the same names.',
        ],
        plain: [
          'Much of the left side has nothing beside it: numbers that remember how they were made are the library itself. What is left is short, and it is all that most people who train models ever see.',
        ],
      },
    },
    title: 'PyTorch, line by line',
    download: 'download microgpt_torch.py',
    with: 'with the same',
    size: 'parameters, losses and samples, in {lines} lines',
    label: 'The reference and PyTorch, side by side',
    names: ['reference.py', 'PyTorch'],
    show: 'Show line {line}',
    line: 'line {line} of microgpt_torch.py',
    neither: 'not in either file',
    caption: {
      plain: 'Large models are written like the right side. Where it is empty, the library does the work.',
      technical:
        'The numbers at the edges are line numbers in the two files; a line marked · is in neither. The whole version computes in double precision, and the tests hold it against the published losses. In single precision, or on a GPU, sums are added in another order and the last digits differ.',
    },
  },

  files: {
    title: 'The model as a file',
    export: 'Export this model',
    open: 'Open a model',
    reading: 'Reading…',
    choose: 'choose a .safetensors file written by `microgpt train`',
    opened: 'All figures now show {name}.',
    caption: {
      plain:
        'The current model is “{name}”: {num_params} numbers, trained for {step} steps. `microgpt sample model.safetensors` writes with it on your own machine.',
      technical:
        'The current model is “{name}”: {num_params} parameters, trained for {step} steps, with Adam’s moments, the settings and the alphabet. To run it on your machine: `microgpt sample model.safetensors`. To see a run’s curve as well, choose its `metrics.jsonl` along with the model.',
    },
  },

  own: { asks: 'Can it learn from my own text?', words: {} },

  questions: [
    {
      asks: 'Is it safe? Where does my program go?',
      words: {
        both: [
          'It runs in a room of its own in your browser and can be stopped at any moment. What you write stays on this page: it is in no link, is sent nowhere, and is gone when you close the page. Save the file if you want to keep it.',
        ],
        technical: [
          '*Run* executes the text as `python reference.py names.txt` would, in a second worker with its own Python: `__name__` is `"__main__"`, and `names.txt` holds the bundled names or your own documents. Stop ends that worker; the figures have another one and never wait for it.',
        ],
      },
    },
    {
      asks: 'What does “Use in all figures” do?',
      words: {
        both: [
          'Run shows what the program prints. To look inside, let all figures use your program: every section then shows its forward pass, its [gradients](term:gradient), its training and its samples.',
        ],
        technical: [
          'The session compiles the text as a module and runs `main()` once with `loss()`, `adam()` and `sample()` replaced by functions that only record their arguments: the sizes, the [seed](term:seed), the first [parameters](term:parameter), the learning rates. From then on your functions compute each number. A value gets a name only if the program computes it as the table of names says; where your program has no such value, the figure says so. The unedited program never steps in.',
        ],
      },
    },
  ],
})
