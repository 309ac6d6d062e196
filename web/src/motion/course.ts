// The course of a player in time: when the next moment comes, and how much of the arrival at it has passed. It counts
// the milliseconds of the frames that it is given, and reads no clock.

export const LONGEST = 100 // ms that a frame counts for at most: a pause of the tab is not caught up

export interface Course {
  at: number // the moment
  passed: number // ms of its pace that have passed
  mode: 'still' | 'step' | 'play' // step: the arrival continues, and the next moment does not come
}

export interface Pace {
  length: number // the number of moments
  pace: number // ms per moment
  travel: number // the share of the pace that an arrival takes; 0 if nothing is on its way
}

/** Return how much of the arrival has passed, from 0 to 1. */
export function arrivalOf({ passed }: Course, { pace, travel }: Pace): number {
  return travel ? Math.min(1, passed / (pace * travel)) : 1
}

/** Return a course that has arrived at a moment. */
export function settled(at: number, { pace, travel }: Pace, mode: Course['mode'] = 'still'): Course {
  return { at, passed: pace * travel, mode }
}

/** Return a course after a frame of `ms` milliseconds: at the same moment, or at the next. */
export function advanced(course: Course, ms: number, pace: Pace): Course {
  if (course.mode === 'still') return course
  const last = pace.length - 1
  const next = { ...course, passed: course.passed + ms }
  if (next.mode === 'play' && next.at < last && next.passed >= pace.pace)
    return { ...next, at: next.at + 1, passed: Math.min(next.passed - pace.pace, LONGEST) }
  const isOver = next.mode === 'step' || next.at >= last
  return isOver && arrivalOf(next, pace) === 1 ? settled(next.at, pace) : next
}
