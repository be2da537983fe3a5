/**
 * A map from byte strings to small numbers, for names that come as bytes millions of times and as
 * strings once. Keys are numbered in the order in which they were added, and stay.
 */
const GROWTH = 2

export class ByteIndex {
  size = 0
  #slots = new Int32Array(64).fill(-1)
  #hashes = new Int32Array(32)
  #ends = new Int32Array(32)
  #keys = Buffer.alloc(1024)

  /** The number of the key bytes[from, to), or -1. */
  find(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashOf(bytes, from, to)
    const mask = this.#slots.length - 1
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const found = this.#slots[at] ?? -1
      if (found < 0) return -1
      if (this.#hashes[found] === hash && this.equals(found, bytes, from, to)) return found
    }
  }

  /** Adds a key that find() did not find, and gives its number. */
  add(bytes: Uint8Array, from: number, to: number): number {
    const added = this.size
    if (added === this.#hashes.length) this.#growNames()
    const keyFrom = this.#ends[added - 1] ?? 0
    const keyTo = keyFrom + to - from
    if (keyTo > this.#keys.length) this.#growKeys(keyTo)
    this.#keys.set(bytes.subarray(from, to), keyFrom)
    this.#ends[added] = keyTo
    this.#hashes[added] = hashOf(bytes, from, to)
    this.size += 1
    if (this.size * GROWTH > this.#slots.length) this.#rehash()
    else this.#link(added)
    return added
  }

  /** Whether the key of this number is bytes[from, to). */
  // oxlint-disable-next-line max-params -- once per name: an options object would be garbage
  equals(number: number, bytes: Uint8Array, from: number, to: number): boolean {
    const keys = this.#keys
    const keyFrom = this.#ends[number - 1] ?? 0
    if ((this.#ends[number] ?? 0) - keyFrom !== to - from) return false
    for (let k = 0; k < to - from; k += 1) if (keys[keyFrom + k] !== bytes[from + k]) return false
    return true
  }

  keyOf(number: number): Buffer {
    return this.#keys.subarray(this.#ends[number - 1] ?? 0, this.#ends[number])
  }

  #link(number: number): void {
    const mask = this.#slots.length - 1
    let at = (this.#hashes[number] ?? 0) & mask
    while ((this.#slots[at] ?? -1) >= 0) at = (at + 1) & mask
    this.#slots[at] = number
  }

  #rehash(): void {
    this.#slots = new Int32Array(this.#slots.length * GROWTH).fill(-1)
    for (let number = 0; number < this.size; number += 1) this.#link(number)
  }

  #growNames(): void {
    const [hashes, ends] = [this.#hashes, this.#ends]
    this.#hashes = new Int32Array(hashes.length * GROWTH)
    this.#ends = new Int32Array(ends.length * GROWTH)
    this.#hashes.set(hashes)
    this.#ends.set(ends)
  }

  #growKeys(needed: number): void {
    const larger = Buffer.alloc(Math.max(this.#keys.length * GROWTH, needed))
    larger.set(this.#keys)
    this.#keys = larger
  }
}

/** FNV-1a with a last stir, because the table takes its lowest bits. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5
  for (let at = from; at < to; at += 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193)
  return hash ^ (hash >>> 15)
}
