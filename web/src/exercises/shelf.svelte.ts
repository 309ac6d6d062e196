// Whether the list of all exercises is open, and how often a stage was set: sections then begin afresh.

class Shelf {
  open = $state(false)
  stages = $state(0)
}

export const shelf = new Shelf()
