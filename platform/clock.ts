/**
 * The only file that reads the wall clock. Event time comes from devices and receive time from
 * connectors; whoever needs processing time takes a Clock, so that tests and the simulator own it.
 */
export type Clock = Readonly<{
  /** Milliseconds since 1970 UTC. May step backwards when the machine's clock is set. */
  nowMs(): number
  /** Milliseconds since an arbitrary start. Never steps backwards; use it for durations. */
  monotonicMs(): number
}>

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
}
