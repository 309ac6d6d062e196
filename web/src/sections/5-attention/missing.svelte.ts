// What the address takes away from attention: some heads (`off=0,2`), or what one head sees at one position (`off=2@1`);
// and what would be guessed then.

import { live } from '../../live.svelte'
import { app } from '../../state.svelte'
import type { Guess } from '../../parts/Next.svelte'
import { say } from '../../texts/say'
import { guessed, place } from './place.svelte'
import text from './text'

/** Keep what is missing, and its guesses, up to date while the component lives. `labels` returns the word's tokens. */
export function missing(labels: () => string[]) {
  const words = text.figures.heads
  const chosen = $derived(Math.min(app.position, Math.max(0, labels().length - 1)))
  const count = $derived(app.model?.config.n_head ?? 0)
  const look = $derived.by(() => {
    const [head, s] = app.off.split('@').map(Number)
    return app.off.includes('@') && head < count && s <= chosen && chosen > 0 ? { head, s } : null
  })
  const heads = $derived(
    look || !app.off
      ? []
      : app.off
          .split(',')
          .map(Number)
          .filter((h) => h < count),
  )
  const numbers = $derived(
    heads.flatMap((h) => Array.from({ length: app.model?.head_dim ?? 0 }, (_, j) => h * app.model!.head_dim + j)),
  )
  const without = live('guesses_without', () =>
    numbers.length ? { word: app.word, layer: place.layer, part: 'x_attn', numbers } : null,
  )
  const blind = live('guesses_attending', () =>
    look ? { word: app.word, layer: place.layer, head: look.head, position: chosen, skip: look.s } : null,
  )
  const how = $derived(look ? words.blind : heads.length === count ? words.withoutAll : words.without)
  return {
    /** The head that does not see a position, and that position. */
    get look() {
      return look
    },
    /** What that head then takes from the other positions. */
    get shares() {
      return look && blind.value?.position === chosen ? blind.value.weights : null
    },
    /** The heads that are switched off. */
    get heads() {
      return heads
    },
    get error() {
      return without.error || blind.error
    },
    /** Return what `Next` shows at a position; what is missing there may not be known yet. */
    at(t: number): { changed?: Guess; unknown: boolean; how: string } {
      const { head: h = 0, s = 0 } = look ?? {}
      const changed = look
        ? t === chosen
          ? guessed(blind.value, t, `skipping ${s} pos${t}.layer${place.layer}.head${h}`)
          : undefined
        : numbers.length
          ? guessed(without.value, t, `without layer${place.layer}.x_attn[${numbers}]`)
          : undefined
      const unknown = !changed && (look ? t === chosen : numbers.length > 0)
      return { changed, unknown, how: say(how, { h, s, letter: labels()[s] ?? '', heads: heads.join(', ') }) }
    },
  }
}
