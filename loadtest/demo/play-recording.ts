/**
 * Plays one recording as a device: its history once, packed, with the original spacing and ending
 * when the demo first began; then one value a second, stamped with now. Where it stands is kept in
 * a state file, so that a restart goes on instead of sending the history again.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../platform/clock.ts'
import { packageRoot } from '../../platform/package-root.ts'
import { JsonFile } from '../json-file.ts'
import type { MqttClient } from '../mqtt-client.ts'
import type { KnownRecording } from './known-recordings.ts'
import { type Positioned, packedPayload, parseRecording, positionRecording } from './recording.ts'

/** Written before anything is sent with it: a resend must carry the very same times. */
type PlayState = { historyEndsAtMs: number; historySent: number; livePlayed: number }

const HISTORY_SAMPLES_PER_MESSAGE = 250
/** The viewer sees this many seconds of normal operation first. */
const LEAD_SAMPLES = 30
const LIVE_INTERVAL_MS = 1000
/** How many live values may be played again after a kill: they get new times, so nothing is wrong. */
const SAVE_EVERY = 5

export type RecordingPlayer = Readonly<{
  historyTotal: number
  historySent(): number
  liveSent(): number
  /** Sends the history that is not acknowledged yet; resolves when all of it is. */
  backfill(): Promise<void>
  /** Plays live until stop(). */
  playLive(): void
  stop(): void
}>

export function recordingPlayer(
  options: Readonly<{
    recording: KnownRecording
    client: MqttClient
    clock: Clock
    stateFolder: string
  }>,
): RecordingPlayer {
  const { recording, client, clock } = options
  const file = new JsonFile(join(options.stateFolder, `${recording.device}.json`), isPlayState)
  const state = file.read() ?? { historyEndsAtMs: clock.nowMs(), historySent: 0, livePlayed: 0 }
  file.write(state)
  const { history, live } = positioned(recording, state.historyEndsAtMs)
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let liveSent = 0

  async function backfill(): Promise<void> {
    for (;;) {
      if (stopped || state.historySent >= history.length) return
      const end = Math.min(history.length, state.historySent + HISTORY_SAMPLES_PER_MESSAGE)
      const payload = packedPayload(recording.metric, history.slice(state.historySent, end))
      await client.publish('t', payload)
      state.historySent = end
      file.write(state)
    }
  }

  function playOne(): void {
    if (!client.connected) return
    const value = live[state.livePlayed % live.length] ?? 0
    const payload = JSON.stringify({ ts: clock.nowMs(), values: { [recording.metric]: value } })
    client.publishThen({ topic: 't', payload: Buffer.from(payload), qos: 1 }, (error) => {
      if (error === undefined) liveSent += 1
    })
    state.livePlayed += 1
    if (state.livePlayed % SAVE_EVERY === 0) file.write(state)
  }

  return {
    historyTotal: history.length,
    historySent: () => state.historySent,
    liveSent: () => liveSent,
    backfill,
    playLive() {
      timer = setInterval(playOne, LIVE_INTERVAL_MS)
    },
    stop() {
      stopped = true
      clearInterval(timer)
      file.write(state)
    },
  }
}

function positioned(recording: KnownRecording, endsAtMs: number): Positioned {
  const path = join(packageRoot(), 'loadtest', 'recordings', recording.file)
  const { failureStartsAtMs } = recording
  return positionRecording(parseRecording(readFileSync(path, 'utf8')), {
    failureStartsAtMs,
    leadSamples: LEAD_SAMPLES,
    endsAtMs,
  })
}

function isPlayState(value: unknown): value is PlayState {
  if (typeof value !== 'object' || value === null) return false
  const state: Partial<Record<keyof PlayState, unknown>> = value
  return [state.historyEndsAtMs, state.historySent, state.livePlayed].every(Number.isSafeInteger)
}
