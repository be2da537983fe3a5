/**
 * The load of `bench mqtt`: many connections that publish 110-byte JSON with QoS 1, at a fixed
 * rate (open loop: latency counts from the time a message was due) or as fast as the
 * acknowledgements allow (closed loop). `seq` makes every message countable afterwards.
 */
import { systemClock } from '../../platform/clock.ts'
import type { MqttClient } from '../mqtt-client.ts'

export type LoadResult = Readonly<{ sent: number; seqSum: number; ackMs: readonly number[] }>

const PAYLOAD_BYTES = 110
const TICK_MS = 5

export class PublishLoad {
  readonly #clients: readonly MqttClient[]
  readonly #lastStampMs: number[]
  #seq = 0

  constructor(clients: readonly MqttClient[]) {
    this.#clients = clients
    this.#lastStampMs = clients.map(() => 0)
  }

  /** Resolves when everything sent in that time is acknowledged. */
  async openLoop(ratePerS: number, durationMs: number): Promise<LoadResult> {
    const tally = new Tally()
    const startMs = systemClock.monotonicMs()
    const total = Math.floor((ratePerS * durationMs) / 1000)
    let sent = 0
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const elapsedMs = systemClock.monotonicMs() - startMs
        for (; sent < total && (sent * 1000) / ratePerS <= elapsedMs; sent++) {
          this.#publish(sent % this.#clients.length, {
            tally,
            dueMs: startMs + (sent * 1000) / ratePerS,
          })
        }
        if (sent < total) return
        clearInterval(timer)
        resolve()
      }, TICK_MS)
    })
    return tally.finished()
  }

  /** Every connection keeps `inFlight` messages unacknowledged. */
  async closedLoop(inFlight: number, durationMs: number): Promise<LoadResult> {
    const tally = new Tally()
    const endMs = systemClock.monotonicMs() + durationMs
    const again = (index: number): void => {
      const nowMs = systemClock.monotonicMs()
      if (nowMs >= endMs) return
      this.#publish(index, { tally, dueMs: nowMs, answered: () => again(index) })
    }
    for (let turn = 0; turn < inFlight; turn++) {
      for (const index of this.#clients.keys()) again(index)
    }
    return tally.finished()
  }

  #publish(
    index: number,
    { tally, dueMs, answered }: Readonly<{ tally: Tally; dueMs: number; answered?: () => void }>,
  ): void {
    const seq = (this.#seq += 1)
    tally.sent(seq)
    const payload = this.#payload(index, seq)
    this.#clients[index]?.publishThen({ topic: 't', payload, qos: 1 }, (error) => {
      if (error === undefined) answered?.()
      tally.answered(systemClock.monotonicMs() - dueMs, error)
    })
  }

  /** No device uses a time twice: equal times would be one sample. */
  #payload(index: number, seq: number): Buffer {
    const ts = Math.max(systemClock.nowMs(), (this.#lastStampMs[index] ?? 0) + 1)
    this.#lastStampMs[index] = ts
    const values = `"temperature":21.${seq % 100},"humidity":48.2,"pressure":1013.25,"seq":${seq}`
    const head = `{"ts":${ts},"values":{${values}`
    return Buffer.from(`${head}${' '.repeat(Math.max(0, PAYLOAD_BYTES - head.length - 2))}}}`)
  }
}

class Tally {
  readonly #ackMs: number[] = []
  #sent = 0
  #seqSum = 0
  #failed: Error | undefined
  #onAnswer: () => void = () => {}

  sent(seq: number): void {
    this.#sent += 1
    this.#seqSum += seq
  }

  answered(ms: number, error?: Error): void {
    this.#failed ??= error
    this.#ackMs.push(ms)
    this.#onAnswer()
  }

  async finished(): Promise<LoadResult> {
    await new Promise<void>((resolve) => {
      this.#onAnswer = () => {
        if (this.#ackMs.length >= this.#sent) resolve()
      }
      this.#onAnswer()
    })
    if (this.#failed !== undefined) throw this.#failed
    return { sent: this.#sent, seqSum: this.#seqSum, ackMs: this.#ackMs }
  }
}
