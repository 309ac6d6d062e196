// The technical names of the numbers on the way to another number; src/microgpt/tracing/inner_names.py lists them. {owner}
// is the other number's path, {i} the index of a term.
import { texts } from '../texts/texts'

export default texts({
  roles: {
    term: '{owner}: product {i}',
    sum: '{owner}: sum of 0–{i}',
    total: '{owner}: whole sum',
    inverse: '{owner}: 1 / divisor',
    exp: '{owner}: exp of the logit',
    shifted: '{owner}: logit minus the largest',
    'scale.shifted': '{owner}: mean square + epsilon',
    minus_largest: '{owner}: −largest logit',
    scaled: '{owner}: logit / temperature',
    inverse_temperature: '{owner}: 1 / temperature',
    eps: '{owner}: epsilon',
    relu: '{owner}: before the square',
    log: '{owner}: log of p',
    minus_one: '{owner}: the factor −1',
  },
})
