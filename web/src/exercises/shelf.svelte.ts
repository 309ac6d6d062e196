// Whether the list of all exercises is open, and how many stages have been set: each stage remounts the section.

class Shelf {
  open = $state(false)
  stages = $state(0)
}

export const shelf = new Shelf()
