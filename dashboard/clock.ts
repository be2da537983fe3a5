/** The one place of the dashboard that reads the wall clock; all else takes the time as a value. */
export const nowMs = (): number => Date.now()
