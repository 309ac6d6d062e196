// How a token is written in the figures.

/** BOS, which writes nothing, is a dot; a space can be seen. */
export const symbol = (char: string) => (char === '' ? '·' : char === ' ' ? '␣' : char)
