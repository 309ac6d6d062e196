// The words of the exercises of section 3. Facts are filled in by the judges: {name}.
import { claim, texts } from '../texts/texts'

export default texts({
  absent: {
    title: 'A letter that is not there',
    question: 'Open a number of `wte` that cannot affect the loss of `{word}`.',
    hint: {
      plain: 'Each row of wte is a letter. Take a letter that is not in the word.',
      technical: 'Rows of tokens that are not read have a gradient of exactly 0. Show the gradients to find them.',
    },
    which: 'Open a number of wte.',
    isRead: '`{path}` is in the row of “{letter}”, which the word reads.',
    right: '`{path}` belongs to “{letter}”, which is not in the word. {rows} rows of wte have a gradient of exactly 0.',
  },
  largest: {
    title: 'The largest matrix',
    question: 'Choose a matrix that no other matrix exceeds in size.',
    hint: {
      plain: 'Compare the areas: every matrix is drawn to the same scale. Click its name.',
      technical: 'The MLP is four times as wide as the stream: 4·n_embd² numbers each way.',
    },
    smaller: '`{name}` has {size} numbers. There is a larger one.',
    right: '`{name}` has {size} of the {num_params} numbers. Two thirds of a layer’s numbers are in its MLP.',
  },
  nearest: {
    title: 'Letters that are alike',
    question:
      'A row of wte gives a letter a direction in a space of {n_embd} dimensions. Which of these letters points most nearly the way `a` does?',
    hint: {
      plain: claim(
        'Letters that occur in the same places tend to end up alike. What kind of letter is a?',
        "{other['symbol'] for other in ask('nearest', symbol='a')['others'][:4]} == {*'eiou'}",
      ),
      technical:
        'The measure is the cosine of the angle between rows. Training had one reason to turn them: what comes next.',
    },
    truth: 'Most like “a” is “{near}”, with a cosine of {cosine}. Least like it is “{far}”, with {least}.',
  },
  deeper: {
    title: 'Twice as deep',
    question:
      'This model has {num_params} parameters and {n_layer} layer. How many would it have with one more layer, and everything else the same?',
    hint: {
      plain: 'The letter and place tables exist only once, however deep the model is. So the number does not double.',
      technical: 'A layer has 12·n_embd² parameters: four squares for attention, and twice 4·n_embd² for the MLP.',
    },
    truth: 'It would have {count}. A layer is {more} numbers, and the embeddings are not needed twice.',
  },
})
