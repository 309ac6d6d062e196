// An edited program may make fewer numbers than the figures know. What a figure looks for in vain is told in words, where
// it would otherwise fail without any: Figure catches it.

export class MissingError extends Error {}

/** The same answer, in which a tensor that is not there is no undefined but an error that names it. */
export function whole<T>(answer: T): T {
  const tensors = (answer as { tensors?: Record<string, unknown> }).tensors
  if (!tensors) return answer
  const told = new Proxy(tensors, {
    get(target, name) {
      if (typeof name !== 'string' || name in target || !/^(pos|layer)\d|^(loss|lm_head|wte|wpe)$/.test(name))
        return Reflect.get(target, name)
      throw new MissingError(`the edited program does not compute ${name}, which this figure needs`)
    },
  })
  return { ...answer, tensors: told }
}
