/** Encode bytes as base64, as requests require. */
export function toBase64(content: ArrayBuffer): string {
  const bytes = new Uint8Array(content)
  let binary = ''
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000))
  return btoa(binary)
}
