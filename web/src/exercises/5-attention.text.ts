// The words of section 5's exercises.
import { claim, texts } from '../texts/texts'

export default texts({
  alone: {
    title: 'Alone at position 0',
    question: 'At position 0 the model has read nothing but BOS. How much of its attention does BOS get there?',
    hint: {
      plain: 'The shares of attention always add up to the whole. How many positions share it here?',
      technical: 'The softmax of one number: e^z / e^z, whatever z is.',
    },
    truth: 'It gets {share}, in every head: a softmax over one score has no choice.',
  },
  beginning: {
    title: 'Who listens for the beginning?',
    question: 'Leave out the first position. At which of the others does head 0 look most at BOS? Choose it.',
    hint: {
      plain: 'Look down the left column of the head’s square. Find the strongest cell below the top one.',
      technical: 'attn_weights.head0[0] over the positions from 1 on.',
    },
    less: 'At position {at} it looks at BOS with {own}. There is a stronger one.',
    first: 'At position {at} it looks at BOS with {own}. But at position 0 it has no choice.',
    right: 'At position {at}, {own} of head 0 goes to BOS: more than at any other position after the first.',
  },
  strongest: {
    title: 'The strongest look',
    question: 'Open the largest attention weight of all heads. Position 0 does not count.',
    hint: {
      plain: 'Look through all the squares for the fullest cell that is not in a top row.',
      technical: 'pos{t}.layer0.attn_weights.head{h}[s] with t ≥ 1. The tables behind the matrices have the digits.',
    },
    wanted: 'The exercise asks for an attention weight.',
    first: 'Position 0 has nothing to choose from, so it does not count.',
    less: '`{path}` takes {share}. There is a larger one.',
    right: '`{path}` takes {share}.',
  },
  causality: {
    title: 'Break causality',
    question: claim(
      'Make the first position, which has read nothing but BOS, give more than nine tenths of its attention to letters that are not written yet.',
      "max(rows[0] for rows in ask('unmasked', word='elizabeth')['future'][0]) > 0.9 > max(rows[0] for rows in ask('unmasked', word='emma')['future'][0])",
    ),
    hint: {
      plain:
        'At the end of the section, something keeps the future from the past. Take it away, then look for the right head. Does a longer word give it more to look at?',
      technical:
        'The textbook’s figure has a switch for the mask. If T scores are all alike, T − 1 of them belong to the future. So take a long word, and a head that does not care for BOS.',
    },
    masked: 'The mask is where it was: whatever comes later gets nothing.',
    less: 'At the beginning of “{now}”, {share} of head {head} goes to the future. The exercise asks for more.',
    right:
      '{share} of head {head} goes to letters that are not written yet. The loss of “{now}” is now {free} instead of {bound}, and it means nothing: the answers are in sight.',
  },
  later: {
    title: 'A letter later',
    question:
      'Suppose the last letter of `emma` were another one: `emmy`. In how many of the rows of attention before it would any number change?',
    none: 'in none',
    last: 'in the last of them',
    all: 'in all {n}',
    hint: {
      plain: 'When a position is computed, what comes later is not there yet. Try it: change the word in the bar.',
      technical:
        'Keys and values are appended as they are computed, so no row can read a later one. In the textbook, a mask does the same.',
    },
    truth: 'Both words were computed. Of the {rows} earlier rows, {changed} differ in any head, to the last bit.',
  },
  winner: {
    title: 'The winner takes it all',
    question: claim(
      'Stretch the scores of this row until one position gets more than nine tenths of the attention.',
      "[max(probs) > 0.9 for probs in ask('softmax', logits=ask('attention', word='emma')['logits'][0][1][3][:4], scales=[1, 20])['probs']] == [False, True]",
    ),
    hint: {
      plain: 'A slider multiplies all the scores. Equal scores cannot be stretched apart. Different ones can.',
      technical:
        'softmax(c · z) tends to the maximum as c grows. Scores are divided by √d so that training does not start there.',
    },
    first: 'Position 0 has only one score. Choose a later one.',
    less: 'With the scores times {scale}, “{label}” gets the most: {share}.',
    right: 'With the scores times {scale}, “{label}” gets {share}.',
  },
  query: {
    title: 'Ask, and be answered',
    question: 'Open a number of the query with which head {head} asks at position {position}.',
    hint: {
      plain: 'The query is one long list, and every head owns a stretch of it. In the search box, type q and the head.',
      technical: 'Head h owns the components from h · head_dim on: `q head2` finds them.',
    },
    wanted: 'The exercise asks for a component of q.',
    position: '`{path}` does not belong to position {position}.',
    owner: '`{path}` belongs to head {owner}.',
    right: '`{path}` is {value}. Head {head} multiplies it with the same component of every key.',
  },
})
