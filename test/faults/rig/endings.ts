/** What must be ended when somebody interrupts the rig. Whoever starts a process adds its end. */
const ENDINGS = new Set<() => Promise<unknown>>()

/** Gives what takes it away again, once it has ended in order. */
export function endedOnInterruption(end: () => Promise<unknown>): () => void {
  ENDINGS.add(end)
  return () => void ENDINGS.delete(end)
}

/** The first signal ends everything, then this process. */
export function watchForInterruption(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      void Promise.allSettled([...ENDINGS].map((end) => end())).then(() => process.exit(1))
    })
  }
}
