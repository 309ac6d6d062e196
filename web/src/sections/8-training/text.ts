// The words of section 8. Figures of the model and the data are filled in from the engine: {name}.
import type { Words } from '../../texts/texts'

export const intro: Words = {
  both: [
    'Training is the update of the last section, over and over, each time with the next document. There is no other trick. Begin from random numbers and watch what becomes of them.',
  ],
  plain: [
    'At first every letter is about as likely as any other, and the loss stands near {uniform_loss}, the surprise of somebody who knows only that there are {vocab_size} tokens. Within a hundred documents the model has learned which letters are common at all; then which follow which; then how long a name is.',
  ],
  technical: [
    'One document is one step: a batch of one, as in the published program. That is why the curve jumps: each loss belongs to another name, and some names are stranger than others. The thick line is a running mean, for the eye; the program knows only the thin one. With larger batches the gradient is the mean over several documents, and the curve is calmer at the price of more work a step.',
  ],
}

export const scrub: Words = {
  both: [
    'Every moment of your run is kept. Pull the slider back and the weights are what they were after that step, bit for bit: all figures on all sections follow. Train on from there and you have a second run that shares its beginning with the first.',
  ],
}

export const samples: Words = {
  both: [
    'What it would write at this moment, always with the same throws of the die: all that changes from line to line is the model.',
  ],
}

export const settings: Words = {
  both: ['Change a setting and begin anew. It stays the same program: these are the arguments of its functions.'],
  plain: [
    'The learning rate is the length of the stride: too short and the model hardly moves, too long and it stumbles over the valley it is looking for. More numbers, in `n_embd` and `n_layer`, let it know more, and make every step slower.',
  ],
  technical: [
    'The learning rate rises for `warmup_steps`, if there are any, and then falls until `num_steps`: in a straight line, as in the published program, or along a cosine, whichever `decay` says. The last steps settle what the first ones found. Going on beyond `num_steps` doubles the plan, and the rate goes on from where the longer one has it: on the straight line, from half of its first value. `seed` sets the order of the documents, the initial weights and the samples at once.',
  ],
}

export const strides: Words = {
  both: [
    'A step moves every parameter, each by a stride of its own. Where the gradients of the last documents agreed, it is about as long as the learning rate; where they did not, m is small beside the root of v, and so is the stride. Watch the bars get shorter as the rate falls.',
  ],
}

export const heldOut: Words = {
  both: [
    'A model could simply learn its documents by heart. So it is asked about documents it has not read: if the loss there is as low, it has learned something about names in general.',
  ],
}

export const sideBySide: Words = {
  both: [
    '*Can I see where two runs diverge?* Two runs that differ in one setting are an experiment. The program is deterministic, so they are equal number for number up to the first thing that differs, and here it is found. Try: train some steps, go back to one in the middle, change a weight by hand in section 4 and train on: the place where they part is the weight that you changed.',
  ],
}

export const opened: Words = {
  both: [
    'Runs that were named when the lab was started. A run that is still training is read again every few seconds.',
  ],
}
