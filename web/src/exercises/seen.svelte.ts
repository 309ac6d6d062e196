// Figure settings that would otherwise be local to a component, shared because the exercises' judges read them.

class Seen {
  line = $state(0) // the line chosen in the source panel, not a line that a figure highlights
  names = $state.raw<string[]>([]) // section 0: the names that the model made up
  typed = $state('') // section 1: the text typed into the tokenizer
  shuffle = $state.raw({ seed: 0, at: 0 })
  backward = $state.raw<{ accumulate?: boolean; order?: 'topological' | 'naive'; times?: 1 | 2 }>({}) // section 2
  unit = $state(-1) // section 4: the chosen unit of the MLP
  scale = $state(1) // section 5: the factor on the scores
  mask = $state(true) // section 5: whether the textbook's matrix is masked
  generation = $state.raw({ temperature: 0, top_k: 0, index: 0, prompt: '', at: 0 }) // section 9
}

export const seen = new Seen()
