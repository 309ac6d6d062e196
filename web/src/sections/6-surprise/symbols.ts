// How a token is written in the figures.

/** Return a token's text: BOS, which has none, is a dot; a space is made visible. */
export const symbol = (char: string) => (char === '' ? '·' : char === ' ' ? '␣' : char)
