// The words of section 8's exercises. Facts of the answer are filled in: {name}.
import { claim, texts } from '../texts/texts'

export default texts({
  nothing: {
    title: 'Begin from nothing',
    question: claim(
      'Give the model random weights. Knowing nothing, it should have a loss near {uniform_loss} for `{word}`.',
      "abs(after('reset').loss('emma') - uniform) < 0.3",
    ),
    hint: {
      plain: 'There is a button for it below the curve.',
      technical: claim(
        'With init_std 0.08 the logits are all near 0, so the softmax gives each token about 1/{vocab_size}.',
        "all(0.5 < prob * len(model['symbols']) < 2 for name, t in after('reset').ask('forward', word='emma')['tensors'].items() if name.endswith('.probs') for prob in t['data'])",
      ),
    },
    trained: 'This model has made {steps} steps: the loss is {loss}.',
    far: 'The loss is {loss}; random guessing has {uniform}.',
    right: 'Untrained, the loss is {loss}; random guessing has {uniform}.',
  },
  below: {
    title: 'Below 2, by any means',
    question: claim(
      'Make the loss of `emma` fall below 2: by training, by changing weights, by other data. Anything goes.',
      "loss('emma') > 2",
    ),
    hint: {
      plain: claim(
        'A model that reads only this word learns it quickly. You can load a file of your own in section 1.',
        "after('load_data', name='emma.txt', base64='ZW1tYQo=').after('train', steps=20).loss('emma') < 0.1",
      ),
      technical:
        'Overfit it: a text file with that one line. Or push weights of lm_head against their gradients in section 4.',
    },
    other: 'The page follows another word: “{now}”.',
    wrong: 'Its loss is {loss} nats per letter.',
    right: 'Its loss is {loss} nats per letter now. Let the model write some samples to see what that cost.',
  },
  day: {
    title: 'Back to the first good day',
    question: claim(
      'This run has made 100 steps. Go back to the first step whose loss was below 2.5.',
      "[loss < 2.5 for loss in after('reset', val_fraction=0).after('train', steps=100).curve()].index(True) > 0",
    ),
    hint: {
      plain:
        'The thin line is the loss of each step. Where does it first dip below? The slider goes there; the arrow keys move it by one step.',
      technical:
        'The loss of step n belongs to the document of step n, before the update; going back restores the weights after it.',
    },
    unreachable: 'This run does not go back that far. Set the stage again to train the run of the exercise.',
    begin: 'This is the beginning: no step has been made.',
    later: 'Step {step} had a loss of {own}. There was an earlier one below 2.5.',
    above: 'Step {step} had a loss of {own}. That is not below 2.5.',
    right: 'Step {step} had a loss of {own}, the first below 2.5. The weights are what they were then, bit for bit.',
  },
  part: {
    title: 'Make two runs part',
    question: 'Make two runs of your own, of at least ten steps each, that differ in one setting and in nothing else.',
    hint: {
      plain: 'Random weights, train 10. Then start a new run with one setting changed, and train 10.',
      technical:
        'With another learning rate the first loss is the same and the first update is not. With another seed nothing is.',
    },
    few: 'There are {count} runs of your own with ten steps or more.',
    equal: 'The last two are equal, number for number, as far as both go.',
    none: 'The last two differ in no setting.',
    many: 'The last two differ in {count} settings: {settings}.',
    right: 'They differ in `{settings}` and part at step {step}, at `{path}`: {a} and {b}.',
  },
  whole: {
    title: 'Surprise, then backward',
    question: 'Which line of the training loop finds out how each parameter contributed to the surprise?',
    hint: {
      plain: 'It is the shortest line of the loop.',
      technical: 'One call, on the loss. When it returns, every parameter has its gradient.',
    },
    right: 'one walk over the graph, for all {num_params} parameters at once.',
  },
})
