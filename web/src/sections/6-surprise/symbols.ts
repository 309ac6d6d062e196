// How a token is written in the figures.

/** Return a token's text, with a dot for BOS and a visible sign for a space. */
export const symbol = (char: string) => (char === '' ? '·' : char === ' ' ? '␣' : char)
