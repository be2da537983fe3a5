/**
 * The recordings beside the code and where each fails. The windows are those of the Numenta
 * Anomaly Benchmark, file labels/combined_windows.json; of several the last one is played.
 */
export type KnownRecording = Readonly<{
  /** Device id. */
  device: string
  name: string
  metric: string
  file: string
  /** Start of the last failure window, in the recording's own time (read as UTC). */
  failureStartsAtMs: number
}>

export const KNOWN_RECORDINGS: readonly KnownRecording[] = [
  {
    device: 'machine-temperature',
    name: 'Machine temperature (recording)',
    metric: 'temperature',
    file: 'machine_temperature_system_failure.csv',
    failureStartsAtMs: Date.UTC(2014, 1, 7, 14, 55),
  },
  {
    device: 'ambient-temperature',
    name: 'Ambient temperature (recording)',
    metric: 'temperature',
    file: 'ambient_temperature_system_failure.csv',
    failureStartsAtMs: Date.UTC(2014, 2, 29, 15, 0),
  },
]
