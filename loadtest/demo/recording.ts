/**
 * A recording and where to stand in it: what lies before the position is history, keeps its own
 * spacing and ends now; what lies after it is played live. Pure: no file, no clock.
 */
export type Sample = Readonly<{ atMs: number; value: number }>

/** History in the device's present time, never later than now; `live` are the values to come. */
export type Positioned = Readonly<{ history: readonly Sample[]; live: readonly number[] }>

/**
 * Reads `timestamp,value` lines; times are taken as UTC. Where a time repeats (a clock set back in
 * winter) the first value stays, as it would in the tables. Throws on a line it cannot read.
 */
export function parseRecording(csv: string): Sample[] {
  const samples: Sample[] = []
  for (const [index, line] of csv.trim().split(/\r?\n/).entries()) {
    if (index === 0) continue
    const [time = '', text = ''] = line.split(',')
    const atMs = Date.parse(`${time.replace(' ', 'T')}Z`)
    const value = Number(text)
    if (text === '' || !Number.isFinite(atMs) || !Number.isFinite(value)) {
      throw new Error(`line ${index + 1} of a recording is not "time,value": ${line.slice(0, 80)}`)
    }
    samples.push({ atMs, value })
  }
  samples.sort((a, b) => a.atMs - b.atMs)
  return samples.filter((sample, index) => sample.atMs !== samples[index - 1]?.atMs)
}

/** Stands `leadSamples` samples before `failureStartsAtMs`, with the last of history at `endsAtMs`. */
export function positionRecording(
  samples: readonly Sample[],
  options: Readonly<{ failureStartsAtMs: number; leadSamples: number; endsAtMs: number }>,
): Positioned {
  const failure = samples.findIndex(({ atMs }) => atMs >= options.failureStartsAtMs)
  if (failure < 0) throw new Error('the failure lies after the end of the recording')
  const position = Math.max(1, failure - options.leadSamples)
  const last = samples[position - 1]
  const shiftMs = options.endsAtMs - (last?.atMs ?? 0)
  return {
    history: samples.slice(0, position).map(({ atMs, value }) => ({ atMs: atMs + shiftMs, value })),
    live: samples.slice(position).map(({ value }) => value),
  }
}

/** The packed payload of some samples of one metric: an array of {"ts","values"} objects. */
export function packedPayload(metric: string, samples: readonly Sample[]): Buffer {
  return Buffer.from(
    JSON.stringify(samples.map(({ atMs, value }) => ({ ts: atMs, values: { [metric]: value } }))),
  )
}
