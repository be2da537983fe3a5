/** The passing of time as a port, so that tests and the simulator own every delay. */
export type Timers = Readonly<{
  /** Runs the task once, after that long at the earliest. The answer cancels it. */
  after(delayMs: number, task: () => void): () => void
}>

export const systemTimers: Timers = {
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs)
    return () => clearTimeout(timer)
  },
}

export const sleep = (timers: Timers, delayMs: number): Promise<void> =>
  new Promise((resolve) => {
    timers.after(delayMs, resolve)
  })

/** Runs the task again and again, so long after each run began. The answer ends it. */
export function every(timers: Timers, intervalMs: number, task: () => void): () => void {
  let cancel = timers.after(intervalMs, beat)
  function beat(): void {
    cancel = timers.after(intervalMs, beat)
    task()
  }
  return () => cancel()
}

/** Waits for the work, but no longer than that. */
export async function atMost(timers: Timers, limitMs: number, work: Promise<void>): Promise<void> {
  let cancel = (): void => {}
  const over = new Promise<void>((resolve) => {
    cancel = timers.after(limitMs, resolve)
  })
  await Promise.race([work, over]).finally(cancel)
}

/** Sleeps, but no longer than until the signal. */
export function sleepUnless(timers: Timers, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const cancel = timers.after(delayMs, wake)
    function wake(): void {
      cancel()
      signal.removeEventListener('abort', wake)
      resolve()
    }
    signal.addEventListener('abort', wake, { once: true })
  })
}

/** What the work answers, or undefined once the signal comes: nobody wants its answer any more. */
export async function answerUnless<T>(
  work: Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  let give = (): void => {}
  const nothing = new Promise<undefined>((resolve) => {
    give = () => resolve(undefined)
  })
  if (signal.aborted) give()
  signal.addEventListener('abort', give, { once: true })
  try {
    return await Promise.race([work, nothing])
  } finally {
    signal.removeEventListener('abort', give)
  }
}
