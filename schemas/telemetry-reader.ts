/**
 * Reads the Avro body of a Telemetry into flat arrays that are used again for the next one: no
 * object for a series, none for a sample, no string for a name that is known already. It knows
 * today's schema by heart (a test compares it with avsc); records of other versions take the way
 * through avsc, see telemetry-frames.ts.
 *
 * Avro binary encoding: https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
 */
/**
 * Beyond it avsc rounds what it reads, and near 2^53 it refuses to write: whoever takes numbers from
 * outside into a record has to refuse them from here on.
 */
export const LONG_END = 2 ** 52

export const NUMBER = 0
export const BOOLEAN = 1
export const TEXT = 2

export class TelemetryReader {
  /** What was read last; names and identity are ranges of it. */
  bytes: Buffer = Buffer.alloc(0)
  /** Tenant and device, each with its length in front: equal bytes mean the same device. */
  identityFrom = 0
  identityTo = 0
  recvTs = 0
  stamped = true
  /** The device's own number of the message; -1 where it gave none. */
  seq = -1
  shiftMs = 0
  /** True for the record that carries only the passing of time. */
  isTick = false

  /** Series of the record: kind, where the metric's name stands, where its samples end. */
  entryCount = 0
  kinds = new Uint8Array(16)
  metricFrom = new Int32Array(16)
  metricTo = new Int32Array(16)
  sampleEnd = new Int32Array(16)

  /** Samples of all series, one after the other; booleans as 0 and 1, texts beside. */
  sampleCount = 0
  tsMs = new Float64Array(256)
  values = new Float64Array(256)
  texts: string[] = []

  /** The first thing that was wrong. Reading goes on at the end then, where there is nothing. */
  #fault: string | undefined
  #at = 0
  #end = 0
  readonly #wide = new Float64Array(1)
  #tenantAt = 0
  #deviceAt = 0
  #view: DataView = new DataView(new ArrayBuffer(0))

  get tenant(): string {
    return this.#stringAt(this.#tenantAt)
  }

  get device(): string {
    return this.#stringAt(this.#deviceAt)
  }

  metricOf(entry: number): string {
    return this.bytes.toString('utf8', this.metricFrom[entry], this.metricTo[entry])
  }

  /** Reads the body bytes[from, to). Answers what is wrong, if so. */
  read(bytes: Buffer, from: number, to = bytes.length): string | undefined {
    this.#begin(bytes, from, to)
    this.identityFrom = from
    this.#tenantAt = from
    const tenantBytes = this.#skipString()
    this.#deviceAt = this.#at
    const deviceBytes = this.#skipString()
    this.identityTo = this.#at
    this.isTick = tenantBytes === 0 && deviceBytes === 0
    this.recvTs = this.#long()
    this.#skipString()
    this.stamped = this.#byte() !== 0
    this.#entries(NUMBER)
    this.#entries(BOOLEAN)
    this.#entries(TEXT)
    this.seq = this.#optionalLong()
    this.shiftMs = this.#small()
    if (this.entryCount > 0 && (tenantBytes === 0 || deviceBytes === 0)) {
      this.#fault ??= 'samples of nobody: a tenant and a device must be named'
    }
    return this.#verdict()
  }

  #begin(bytes: Buffer, from: number, to: number): void {
    this.#at = from
    this.#end = to
    this.entryCount = 0
    this.sampleCount = 0
    this.#fault = undefined
    if (this.texts.length > 0) this.texts = []
    if (bytes === this.bytes) return
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  #verdict(): string | undefined {
    if (this.#fault !== undefined) return this.#fault
    if (this.#at < this.#end) return 'bytes follow the body'
    if (!(this.#at === this.#end)) return 'the body ends too early'
    if (!Number.isSafeInteger(this.recvTs)) return 'a number is too large'
    return undefined
  }

  #fail(detail: string): void {
    this.#fault ??= detail
    this.#at = this.#end
  }

  #entries(kind: number): void {
    for (let left = this.#blockCount(1); left !== 0; left = this.#blockCount(1)) {
      for (; left > 0 && this.#fault === undefined; left -= 1) this.#entry(kind)
    }
  }

  #entry(kind: number): void {
    const entry = this.entryCount
    if (entry === this.kinds.length) this.#growEntries()
    const nameBytes = this.#length()
    this.kinds[entry] = kind
    this.metricFrom[entry] = this.#at
    this.#at += nameBytes
    this.metricTo[entry] = this.#at
    const first = this.sampleCount
    this.#times()
    const read = this.#valuesFrom(first, kind)
    if (read !== this.sampleCount) this.#fail('a series has more times than values, or fewer')
    this.sampleEnd[entry] = this.sampleCount
    this.entryCount = entry + 1
  }

  #times(): void {
    const wide = this.#wide
    this.#readLong()
    const t0 = wide[0] ?? 0
    for (let left = this.#blockCount(1); left !== 0; left = this.#blockCount(1)) {
      while (this.sampleCount + left > this.tsMs.length) this.#growSamples()
      for (; left > 0; left -= 1) {
        this.#readLong()
        this.tsMs[this.sampleCount] = t0 + (wide[0] ?? 0)
        this.sampleCount += 1
      }
    }
  }

  /** Gives the index after the last value. Values without a time are not kept: it is a fault. */
  #valuesFrom(first: number, kind: number): number {
    const itemBytes = kind === NUMBER ? 8 : 1
    let at = first
    for (let left = this.#blockCount(itemBytes); left !== 0; left = this.#blockCount(itemBytes)) {
      if (at + left > this.sampleCount) return -1
      for (; left > 0; left -= 1) {
        if (kind === NUMBER) this.values[at] = this.#double()
        else if (kind === BOOLEAN) this.values[at] = this.#byte() === 0 ? 0 : 1
        else this.#text(at)
        at += 1
      }
    }
    return at
  }

  #text(at: number): void {
    const bytes = this.#length()
    this.values[at] = 0
    this.texts[at] = this.bytes.toString('utf8', this.#at, this.#at + bytes)
    this.#at += bytes
  }

  /** Items of the next block of an array, each of at least so many bytes; 0 at its end. */
  #blockCount(itemBytes: number): number {
    let count = this.#small()
    if (count === 0) return 0
    if (count < 0) {
      count = -count
      this.#long() // The block's size in bytes.
    }
    // An array's stated count is not believed beyond the bytes that are there.
    if (count * itemBytes <= this.#end - this.#at) return count
    this.#fail('the body ends too early')
    return 0
  }

  /** Answers how many bytes it has. */
  #skipString(): number {
    const bytes = this.#length()
    this.#at += bytes
    return bytes
  }

  #length(): number {
    const bytes = this.#small()
    if (bytes >= 0 && bytes <= this.#end - this.#at) return bytes
    this.#fail('the body ends too early')
    return 0
  }

  #stringAt(at: number): string {
    const after = this.#at
    this.#at = at
    const bytes = this.#length()
    const text = this.bytes.toString('utf8', this.#at, this.#at + bytes)
    this.#at = after
    return text
  }

  /** Union of null and long; a negative number counts as none. */
  #optionalLong(): number {
    const branch = this.#small()
    if (branch === 0) return -1
    if (branch !== 1) this.#fail('a union has no such branch')
    return Math.max(-1, this.#long())
  }

  #byte(): number {
    if (this.#at >= this.#end) {
      this.#fail('the body ends too early')
      return 0
    }
    return this.bytes[this.#at++] ?? 0
  }

  #double(): number {
    const value = this.#view.getFloat64(this.#at, true)
    this.#at += 8
    return value
  }

  #long(): number {
    this.#readLong()
    return this.#wide[0] ?? 0
  }

  /**
   * Zigzag varint of at most eight bytes, which is more than a safe integer needs, into `#wide`: a
   * number too large for 31 bits would be an object for every call that returns it.
   */
  #readLong(): void {
    const { bytes } = this
    const end = this.#end
    let at = this.#at
    this.#wide[0] = 0
    if (at >= end) {
      this.#fail('the body ends too early')
      return
    }
    let byte = bytes[at++] ?? 0
    if (byte < 0x80) {
      this.#at = at
      this.#wide[0] = (byte >>> 1) ^ -(byte & 1)
      return
    }
    let low = byte & 0x7f
    let shift = 7
    for (; byte >= 0x80 && shift < 28 && at < end; shift += 7) {
      byte = bytes[at++] ?? 0
      low |= (byte & 0x7f) << shift
    }
    let high = 0
    for (shift = 0; byte >= 0x80 && shift < 28 && at < end; shift += 7) {
      byte = bytes[at++] ?? 0
      high |= (byte & 0x7f) << shift
    }
    if (byte >= 0x80) {
      this.#fail(at >= end ? 'the body ends too early' : 'a number is too large')
      return
    }
    this.#at = at
    const size = high * 0x800_0000 + (low >>> 1)
    if (size >= LONG_END) this.#fail('a number is too large')
    else this.#wide[0] = (low & 1) === 0 ? size : -size - 1
  }

  /** A number that is almost always a byte: a count, a length, a branch. */
  #small(): number {
    const byte = this.#at < this.#end ? (this.bytes[this.#at] ?? 0) : 0x80
    if (byte >= 0x80) return this.#long()
    this.#at += 1
    return (byte >>> 1) ^ -(byte & 1)
  }

  #growEntries(): void {
    this.kinds = grown(this.kinds, new Uint8Array(this.kinds.length * 2))
    this.metricFrom = grown(this.metricFrom, new Int32Array(this.metricFrom.length * 2))
    this.metricTo = grown(this.metricTo, new Int32Array(this.metricTo.length * 2))
    this.sampleEnd = grown(this.sampleEnd, new Int32Array(this.sampleEnd.length * 2))
  }

  #growSamples(): void {
    this.tsMs = grown(this.tsMs, new Float64Array(this.tsMs.length * 2))
    this.values = grown(this.values, new Float64Array(this.values.length * 2))
  }
}

function grown<A extends Uint8Array | Int32Array | Float64Array>(from: A, to: A): A {
  to.set(from)
  return to
}
