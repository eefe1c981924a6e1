/** Bytes: from base64, and inflated. */

/**
 * @param {string} text base64
 * @returns {Uint8Array}
 */
export function fromBase64(text) {
  const made = /** @type {any} */ (Uint8Array);
  if (made.fromBase64) return made.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** Whether this browser can inflate at all; all since 2023 can. */
export function canInflate() {
  if (typeof DecompressionStream === "undefined") return false;
  try {
    new DecompressionStream("deflate-raw");
    return true;
  } catch {
    return false;
  }
}

/**
 * Inflate a raw deflate stream.
 * @param {Uint8Array} bytes
 * @param {number} size how many bytes it must inflate to
 * @returns {Promise<Uint8Array>}
 */
export async function inflate(bytes, size) {
  const stream = new Blob([/** @type {any} */ (bytes)])
    .stream()
    .pipeThrough(new DecompressionStream("deflate-raw"));
  const reader = stream.getReader();
  const raw = new Uint8Array(size);
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    // Stop at the size that was announced, so that a small file cannot fill the memory.
    if (at + value.length > size) throw new Error("a packed map inflates to too many bytes");
    raw.set(value, at);
    at += value.length;
  }
  if (at !== size) throw new Error(`a packed map inflates to ${at} bytes, expected ${size}`);
  return raw;
}
