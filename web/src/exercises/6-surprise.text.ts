// The words of section 6's exercises.
import { claim, texts } from '../texts/texts'

export default texts({
  expects: {
    title: 'A word it expects',
    question: claim(
      'Find a word of at least three letters whose loss is below 2 nats, and make it the page’s word.',
      "examples['familiar'][0]['loss'] < 2",
    ),
    hint: {
      plain: claim(
        'The most ordinary name you can think of. Many end in a.',
        "sum(d.endswith('a') for d in documents) > len(documents) / 5",
      ),
      technical: 'Below 2 nats is a perplexity below e²: as unsure at each letter as between seven.',
    },
    short: '“{now}” has fewer than three letters.',
    loss: 'The loss of “{now}” is {loss}.',
  },
  worse: {
    title: 'Worse than knowing nothing',
    question: claim(
      'Find a word that surprises the model more than if it knew nothing, with a loss above {uniform_loss}, and make it the page’s word.',
      "loss('qqq') > uniform",
    ),
    hint: {
      plain: 'It needn’t be a name. What would never appear in a list of names?',
      technical:
        '−log p has no upper bound: a model that is sure, and wrong, does worse than one that gives every token the same.',
    },
    below: 'The loss of “{now}” is {loss}, and knowing nothing costs {uniform}.',
    above: 'The loss of “{now}” is {loss}, more than the {uniform} of knowing nothing: it expected other letters.',
  },
  greatest: {
    title: 'The greatest surprise',
    question: 'Choose the letter of `{word}` that surprised the model most.',
    hint: {
      plain: 'The highest bar. The letters are buttons.',
      technical: 'The letter at which −log p is largest. Its position is the one that reads the letter before it.',
    },
    other: '“{target}” costs {loss} nats. Another letter costs more.',
    most: '“{target}” had a probability of {prob}, which costs {loss} nats.',
  },
  number: {
    title: 'The one number that training makes small',
    question: 'Open the number that backward starts from.',
    hint: {
      plain: 'It is the mean of all the bars.',
      technical: 'Its path is simply `loss`, and its gradient is 1.',
    },
    short: 'Its name is short.',
    right: 'The loss of “{now}” is {value}, and its own gradient is {grad}: it responds to itself one for one.',
  },
  backwards: {
    title: 'The same letters, backwards',
    question: 'Is `{one}` written backwards as surprising to the model as `{one}`?',
    less: 'less',
    same: 'the same: the letters are the same',
    more: 'more',
    hint: {
      plain: 'Does the model count letters, or does it know which letter follows which?',
      technical: 'The loss is a mean of conditional surprises, and backwards the conditions are different.',
    },
    truth: '`{one}` costs {a} nats a letter, `{other}` {b}.',
  },
  line: {
    title: 'Surprise, in a line',
    question: 'Which line turns the probability of what came next into surprise?',
    hint: {
      plain: 'Surprise is the logarithm of how unlikely it was.',
      technical: '−log p of the target, one for each position.',
    },
    why: 'certain costs nothing, impossible costs infinitely much.',
  },
})
