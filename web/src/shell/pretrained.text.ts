// The words of Pretrained.svelte.
import { texts } from '../texts/texts'

export default texts({
  open: 'published model',
  openHint: 'The model of the original microgpt. It learned other names, which are not here.',
  published: 'It learned other names, which are not here.',
  back: 'back to the names',
})
