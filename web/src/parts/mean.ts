// The running mean of a run's losses: the loss of one document depends more on the document than on the model.

export const WIDTH = 30 // steps

/** Return the mean of the last WIDTH numbers at each index, skipping numbers that are not finite; for display only. */
export function runningMean(values: number[]): number[] {
  let sum = 0
  let known = 0
  return values.map((value, i) => {
    if (Number.isFinite(value)) [sum, known] = [sum + value, known + 1]
    if (Number.isFinite(values[i - WIDTH])) [sum, known] = [sum - values[i - WIDTH], known - 1]
    return known ? sum / known : NaN
  })
}
