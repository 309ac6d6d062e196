// The words of section 7. Figures of the model are filled in from the engine: {name}.
import type { Words } from '../../texts/texts'

export const intro: Words = {
  both: [
    'The model has been surprised. Whose fault was it? `backward` walks the graph of the whole word once, from the loss to the last of the {num_params} parameters, and tells each of them its share. Then Adam moves each a little, and the same word surprises a little less. That is all of learning: this step, repeated.',
  ],
  plain: [
    'Think of a relay race run backwards. The loss hands the blame to the letters, these to the last layer, it to the one before, and so on to the start. Each runner keeps nothing: it multiplies what it is handed by its own share and passes it on. Only the matrices on the way keep a note of what went by.',
  ],
  technical: [
    'The gradient with respect to a matrix is a sum over positions: the gradient at its output times its input, an outer product for each position. The residual stream gives blame a way past every layer: an addition hands its gradient on unchanged to both sides, so that the early layers hear of the loss directly. Where the stream meets a branch again, the two gradients add up, by the same `+=` as everywhere.',
  ],
}

export const relay: Words = {
  technical: [
    'Keys and values of an early position receive blame from all later positions that looked at them: information went forward through attention, so blame comes back through it. The query of the first position gets exactly none, because a softmax over one score is always 1 and cannot be changed.',
    '*Where is the batch?* There is none here: a step reads one document, as the published program does. With a batch the gradients of its documents are averaged before Adam sees them; nothing else changes. Try: `batch_size` is among the settings of section 8.',
  ],
}

export const maps: Words = {
  both: [
    'Here is the note that every matrix has kept. Look for what is missing: a letter that does not occur in the word has its row of `wte` untouched, to the last bit, since nothing of it took part. The rows of `lm_head` are all touched, because every letter that did not come was a candidate too.',
  ],
}

export const before: Words = {
  both: ['Now the step itself. Downhill is against the gradient; the question is only how far.'],
  plain: [
    'The *learning rate* says how far. Small steps are safe and slow. A step too long lands on the other side of the valley, higher up than before: try it.',
  ],
}

export const adam: Words = {
  both: [
    'Plain descent would move every parameter by the learning rate times its gradient. Adam keeps two notes for each parameter and steps by their ratio. Choose a parameter and walk through the lines of the program.',
  ],
  plain: [
    '*m* is a memory of the direction, like a heavy ball that keeps rolling: one odd word does not turn it round. *v* is a memory of how rough the ground is. Dividing by its root means: where slopes are always steep, take one steep slope calmly; where they are always gentle, take even a small one seriously. So every parameter gets steps of about the same length, whatever the size of its gradients.',
    '*Why the hats?* Both memories begin at zero, and a mean that begins at zero is too small until it has seen enough. m̂ and v̂ put that right. Set Adam’s memory to empty and watch: after one step m is only a fraction of g, and m̂ is g itself.',
  ],
  technical: [
    'Why divide by √v̂? It makes the step free of the gradient’s scale: multiply the loss by ten, and m̂ and √v̂ both grow by ten and Δ stays. The step is near ±learning rate where gradients agree in sign, and shorter where they change sign, since m̂ averages them away and √v̂ does not. ε ({eps_adam}) only keeps a parameter that never had a gradient from dividing by zero.',
    'At step 1 with empty memory m̂ = g and √v̂ = |g|: every touched parameter moves by the learning rate in the direction of its sign. Without the corrections the first step would be (1 − β₁)/√(1 − β₂) times as long. The corrections fade as β to the power of the step goes to zero. Kingma and Ba, [Adam](https://arxiv.org/abs/1412.6980), 2014. Here β₁ = {beta1} and β₂ = {beta2}, a shorter memory than the usual 0.9 and 0.999, since the whole run has only {num_steps} steps.',
    'A parameter whose gradient is exactly 0 now may still move, since m remembers: embeddings of letters that are not in this word drift on for a while. With an empty memory they stay where they are, to the last bit.',
  ],
}

export const steps: Words = {
  both: [
    'And all of them at once. If the program used plain descent, every dot would lie on the slanting line: gradients differ by many powers of ten, and so would the steps; one learning rate could not suit them all. Adam’s dots keep close to the dashed line instead, the learning rate itself.',
  ],
}

export const hikers: Words = {
  both: [
    'Two parameters can be drawn as a landscape: east and north are their values, height is the real loss of {word}, computed at every point of the grid. Two hikers set out from where the model stands.',
  ],
  plain: [
    'The plain hiker goes straight down, with long steps where it is steep and tiny ones where it is flat. In a ravine it soon stands on the floor and crawls along it. Adam stretches the flat direction and squeezes the steep one until both look alike, and walks aslant through the landscape.',
  ],
  technical: [
    'For the directions at first the gradients differ much in size, which is what ill-conditioned means; SGD’s path is governed by the ratio of the curvatures, Adam rescales each axis. Raise the learning rate and Adam runs past the valley and swings back: momentum, of about 1 / (1 − β₁) steps. Real training walks in {num_params} dimensions, and on another landscape at every step, as each word has its own.',
  ],
}

export const decay: Words = {
  both: [
    'Adam’s steps do not get shorter by themselves near the bottom, because it divides by the usual size of the gradients. So the program makes them shorter: in the published run the rate falls in a straight line to zero. Long strides to get into the right valley, short ones to settle in it.',
  ],
  technical: [
    'Large runs let the rate rise first, while Adam’s memory is still short, and then fall along half a wave of a cosine, which stays high for longer and ends more gently. Try: `warmup_steps` and `decay`, among the settings of section 8. The curve is that of the model at hand.',
  ],
}
