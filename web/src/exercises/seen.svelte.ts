// What figures have been set to that keep it to themselves: exercises are judged by it.

class Seen {
  line = $state(0) // of the source, chosen there and not lit by a figure
  names = $state.raw<string[]>([]) // section 0: made up by the model
  typed = $state('') // section 1: into the tokenizer
  shuffle = $state.raw({ seed: 0, at: 0 })
  backward = $state.raw<{ accumulate?: boolean; order?: 'topological' | 'naive'; times?: 1 | 2 }>({}) // section 2
  unit = $state(-1) // section 4: of the MLP
  scale = $state(1) // section 5: of the scores
  mask = $state(true) // section 5: in the textbook’s view
  generation = $state.raw({ temperature: 0, top_k: 0, index: 0, prompt: '', at: 0 }) // section 9
}

export const seen = new Seen()
