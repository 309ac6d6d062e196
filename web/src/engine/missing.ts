// An edited program may compute fewer tensors than the figures expect. A figure that needs a missing tensor then
// names the tensor instead of failing without a message: Figure catches the error.

export class MissingError extends Error {}

/** Return the same response, except that reading a missing tensor throws an error that names it. */
export function guardTensors<T>(response: T): T {
  const tensors = (response as { tensors?: Record<string, unknown> }).tensors
  if (!tensors) return response
  const guarded = new Proxy(tensors, {
    get(target, name) {
      if (typeof name !== 'string' || name in target || !/^(pos|layer)\d|^(loss|lm_head|wte|wpe)$/.test(name))
        return Reflect.get(target, name)
      throw new MissingError(`the edited program does not compute ${name}, which this figure needs`)
    },
  })
  return { ...response, tensors: guarded }
}
