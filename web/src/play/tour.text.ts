// The words of the tour: for each beat, its title and its caption. Readers of both levels get the everyday caption, beside
// the line of code and its variables.
import { claim, texts } from '../texts/texts'

/** Return a caption in everyday words and in technical words. */
function caption(plain: string, technical: string) {
  return { caption: { plain, technical, both: plain } }
}

export default texts({
  file: {
    title: 'The file',
    ...caption(
      'Everything begins with a file of short texts, one on each line. The program reads all of them, and it will never see anything else: whatever it knows in the end, it learned here.',
      '`documents` returns the lines of the file without surrounding whitespace, and leaves out blank lines. Each line is a document, and nothing else will train the model.',
    ),
  },
  shuffle: {
    title: 'The shuffle',
    ...caption(
      'The texts are shuffled like cards. Without this, their order in the file, often the alphabet, would decide what the program learns first and what it learns last.',
      '`rng.shuffle` is a Fisher–Yates shuffle with a fixed seed, so every run has the same order. Training takes the documents from this list one by one.',
    ),
  },
  alphabet: {
    title: 'The alphabet',
    ...caption(
      'A program can only calculate, so every letter that occurs in the texts gets a number. One more number stands for a mark that says: a text begins or ends here.',
      'The vocabulary is closed: the characters of the documents in sorted order, each with an id, and BOS, which marks both ends. Any other character has no id.',
    ),
  },
  tables: {
    title: 'Tables filled by a die',
    ...caption(
      'The model is nothing but these tables of numbers. A die fills them, so at first the model knows nothing. Training changes the numbers, and never the size of a table.',
      '`init` draws every parameter from a normal distribution with mean 0 and a small standard deviation. Training changes the values; the shapes stay as they are.',
    ),
  },
  ids: {
    title: 'A word becomes numbers',
    ...caption(
      'Now a single word, “{word}”. Its letters become numbers, with the mark at both ends, so that the model can also learn how words begin and where they stop.',
      '`encode` looks up the id of each character of “{word}” and adds BOS at both ends, so that the model also learns how documents begin and where they end.',
    ),
  },
  embed: {
    title: 'Letter and place',
    ...caption(
      'Let us follow the last letter of “{word}”. A row of one table says which letter it is, and a row of another says where it stands. The two rows are added.',
      'At the last position of “{word}”, the token’s row of `wte` is added to the position’s row of `wpe`. From here on, {n_embd} numbers represent this token in this place.',
    ),
  },
  norm: {
    title: 'Normal volume',
    ...caption(
      'Before each piece of work, the numbers are turned to normal volume. All of them are multiplied by the same factor, so that no letter shouts and none whispers.',
      'RMSNorm divides x by its root mean square in front of each block (pre-norm). Here it has neither a gain nor a bias, and the residual stream itself is not rescaled.',
    ),
  },
  search: {
    title: 'What the letter looks for',
    ...caption(
      'The letter will now look back at the letters before it. First, a table turns its numbers into a search: a list of numbers for what it hopes to find.',
      'The query is `attn_wq` times the normalized x. It says what this position looks for, and each head uses its own slice of it.',
    ),
  },
  labels: {
    title: 'A label on every letter',
    ...caption(
      'Every letter wears a label for others to find, and carries a message to hand over. The model keeps the labels and messages of all letters that it has read so far.',
      'The key joins the keys of earlier positions, and the next line does the same for the value. These lists hold no later positions, so attention needs no mask.',
    ),
  },
  score: {
    title: 'One score for each letter',
    ...caption(
      'The search meets each label. Number by number they are multiplied, and the products are added up. The better a label fits the search, the higher that letter’s score.',
      '`attn_logits` holds the dot product of the query with each key so far, divided by √d, where d is the number of components per head. This is one of {n_head} heads.',
    ),
  },
  shares: {
    title: 'Scores become shares',
    ...caption(
      'The scores become shares of one whole, like slices of a cake. A letter with a high score gets a large slice, and what one letter gains, the others lose.',
      'Softmax turns the scores into weights that are positive and sum to 1. Raising one of the weights lowers the others.',
    ),
  },
  blend: {
    title: 'A blend of messages',
    ...caption(
      'Each letter hands over its message, but only as much of it as its share allows. Added up, these pieces are what the letter brings back from its search.',
      'The output of the head is the mean of the values so far, weighted by `attn_weights`. The outputs of all {n_head} heads are joined into one vector.',
    ),
  },
  merge: {
    title: 'Added to the notes',
    ...caption(
      'What the letter brought back is added to the numbers it had before. Nothing is replaced: like somebody studying, the model writes new notes beside the old ones.',
      'After `attn_wo` has mixed the heads, the residual connection adds the unchanged x from before the block. An addition passes gradients on unchanged, which keeps deep models trainable.',
    ),
  },
  think: {
    title: 'Thinking it over',
    ...caption(
      'Now the letter thinks by itself: it puts {four_n_embd} questions to its notes. An answer below zero means no, and becomes exactly zero; only a yes goes on.',
      '`mlp_fc1` widens the vector to {four_n_embd} components, and the activation follows: ReLU sets negative ones to 0. Without it, two matrices could do no more than one.',
    ),
  },
  keep: {
    title: 'The notes are complete',
    ...caption(
      'The answers are added to the notes as well. The same short list of numbers now holds everything the model has gathered about this letter and those before it.',
      '`mlp_fc2` maps back to {n_embd} components, which are added to the residual stream. A layer is one attention block and one MLP; larger models stack many layers.',
    ),
  },
  scores: {
    title: 'A score for what comes next',
    ...caption(
      'One last table compares the notes with every letter, and with the mark for the end. Each of them gets a score: the higher, the better it fits as the next one.',
      '`lm_head` maps the {n_embd} components to a logit for each of the {vocab_size} tokens. No normalization comes in between in this program.',
    ),
  },
  chances: {
    title: 'The guess',
    ...caption(
      'The scores become chances, which add up to one whole. This is what the model believes: a chance for every letter, and for the end of the word, to come next.',
      'Softmax again, now over the vocabulary: {vocab_size} probabilities that sum to 1. Subtracting the largest logit first keeps exp from overflowing and changes nothing else.',
    ),
  },
  surprise: {
    title: 'The surprise',
    ...caption(
      'Now comes the truth: the letter that really follows. The smaller the chance that the model had given it, the greater the surprise. Here is the first letter of “{word}”.',
      'The loss at a position is −log p of the token that came next, in nats: 0 for certainty, and ln {vocab_size} = {uniform_loss} for a uniform guess.',
    ),
  },
  mean: {
    title: 'One number to make smaller',
    ...caption(
      'The average of the surprises at all letters is a single number. To learn means to make this number smaller, and everything that follows serves this one purpose.',
      'The loss of a document is the mean over its positions. This one number is all that training tries to lower.',
    ),
  },
  blame: {
    title: 'Who is to blame?',
    ...caption(
      'Which numbers are to blame for the surprise? To find out, the program goes back through its whole calculation. It begins at the end, with a blame of exactly one.',
      '`backward` has put the nodes of the graph in order. It starts with a gradient of 1 for the loss: the derivative of the loss with respect to itself.',
    ),
  },
  twice: {
    title: 'Passing the blame on',
    ...caption(
      'Each number passes its blame to the numbers it was made from: more to those that mattered more. A number that was used twice is blamed twice, and the shares add up.',
      'The node’s gradient times the local derivative is added to the gradient of the operand. It has to be `+=`: a number that was used twice gets a contribution from each use.',
    ),
  },
  reached: {
    title: 'The blame reaches the tables',
    ...caption(
      'In the end, the blame reaches the tables where it all began. Every number in them now knows which way it pushed the surprise, and how strongly.',
      'The last tensor on the way back is `pos0.emb`. An addition passes its gradient on unchanged, so the row of `wte` and the row of `wpe` receive the same numbers.',
    ),
  },
  step: {
    title: 'A small step',
    ...caption(
      'Now one number takes a small step against its blame. The step depends less on the last blame than on its memory: steady blame makes it bold, and changing blame makes it careful.',
      'Adam divides the running mean of the gradients by their typical size, and multiplies by the learning rate. The step hardly depends on the scale of the gradients.',
    ),
  },
  again: {
    title: 'Again and again',
    ...caption(
      claim(
        'Every number in the tables takes such a step. Then comes the next text, and the next, for {num_steps} steps in all. Slowly, the surprise becomes smaller.',
        'sum(curve()[-100:]) < sum(curve()[:100])',
      ),
      'Every parameter is updated, and the next document follows: loss, backward, update, for {num_steps} steps, while the learning rate falls linearly to 0.',
    ),
  },
  die: {
    title: 'A die writes',
    ...caption(
      'Now the model writes. It reads only the mark for the beginning, gives every letter a chance, and throws a die with a face for each. The letter thrown is the first.',
      '`sample` begins with BOS and divides the logits by the temperature. Then `rng.choices` draws a token in proportion to the probabilities, and the token is fed back in.',
    ),
  },
  name: {
    title: 'A new text',
    ...caption(
      'Letter by letter it goes on, until the die shows the mark for the end. The model looked nothing up: it has no list, only its {num_params} numbers.',
      'Drawing BOS ends the sample, and so does reaching the block size. No training document is consulted: what the model has is its {num_params} parameters.',
    ),
  },
  end: {
    title: 'The big picture',
    ...caption(
      'That was the whole program. The large models that you can chat with take these same steps, with very many more numbers. Below is all of it at a glance.',
      'That is the complete algorithm: data, forward, backward, update and sampling. Large language models take the same steps with more parameters. Below is all of it at a glance.',
    ),
  },
})
