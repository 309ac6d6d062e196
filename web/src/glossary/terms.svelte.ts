// Whether the list of all terms is open.

class Terms {
  open = $state(false)
}

export const terms = new Terms()
