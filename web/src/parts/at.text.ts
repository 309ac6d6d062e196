// The words beside every chance: the temperature at which it was computed.
import { texts } from '../texts/texts'

export default texts({
  at: 'at temperature',
  careful: { plain: '(careful)', technical: '' },
  trained: { plain: '(as it learned)', technical: '(as trained)' },
  daring: { plain: '(daring)', technical: '' },
})
