// The names of the numbers on the way to another number; src/microgpt/tracing/inner_names.py lists them. {owner}
// is the other number's path, {i} the index of a term.
import { texts } from '../texts/texts'

export default texts({
  plain: {
    term: 'one product in the sum',
    sum: 'a running total',
    total: 'the whole sum',
    inverse: 'one divided by the sum',
    exp: 'a score, made positive',
    shifted: 'a number, moved a little',
    minus_largest: 'the largest score, to take off',
    scaled: 'a score, made bolder or tamer',
    eps: 'a tiny number, for safety',
    relu: 'a yes, before it is squared',
    log: 'the surprise, with a minus',
    minus_one: 'the −1 that turns the minus around',
  },
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
