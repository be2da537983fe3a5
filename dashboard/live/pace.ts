/**
 * Draws what changes all the time a few times a second: nobody reads faster, and a fleet that speaks
 * a thousand times a second must not cost a thousand drawings. The first change is drawn at once.
 */
export const DRAW_EVERY_MS = 250

export type Pace = Readonly<{ ask: () => void; stop: () => void }>

/** A hidden tab draws no frames: what was asked meanwhile is one drawing when it is seen again. */
export const framePace = (draw: () => void): Pace =>
  pace(draw, {
    everyMs: DRAW_EVERY_MS,
    soon: (act) => {
      const id = requestAnimationFrame(act)
      return () => cancelAnimationFrame(id)
    },
  })

type PaceOptions = Readonly<{
  everyMs: number
  /** Calls back when drawing is possible; the answer takes that back. */
  soon: (act: () => void) => () => void
}>

export function pace(draw: () => void, { everyMs, soon }: PaceOptions): Pace {
  let state: 'idle' | 'frame' | 'rest' = 'idle'
  let wanted = false
  let rest: ReturnType<typeof setTimeout> | undefined
  let takeBack = () => {}
  const drawSoon = () => {
    state = 'frame'
    wanted = false
    takeBack = soon(() => {
      state = 'rest'
      rest = setTimeout(() => {
        state = 'idle'
        if (wanted) drawSoon()
      }, everyMs)
      draw()
    })
  }
  return {
    ask: () => {
      if (state === 'idle') drawSoon()
      else if (state === 'rest') wanted = true
    },
    stop: () => {
      takeBack()
      clearTimeout(rest)
      state = 'idle'
    },
  }
}
