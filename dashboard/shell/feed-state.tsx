/** The state of the live connection: a word in the header, and a banner while it is lost. */
import { useEffect, useState } from 'preact/hooks'
import { type FeedState, type LiveFeed, toldUntilMs } from '../live/live-feed.ts'
import { Clock } from '../say/moment.tsx'
import { useNow } from './clock-tick.ts'

export function useFeedState(feed: LiveFeed): FeedState {
  const [state, setState] = useState(feed.state)
  useEffect(() => {
    setState(feed.state)
    return feed.watch(setState)
  }, [feed])
  return state
}

/** Up to when this page was told what happens, where that has ended; undefined while it is. */
export const useToldUntil = (feed: LiveFeed): number | undefined => toldUntilMs(useFeedState(feed))

/** How often the connection, or the flow, came back: whoever fetched something once fetches it again then. */
export function useReconnects(feed: LiveFeed): number {
  const [count, setCount] = useState(0)
  useEffect(() => {
    let lost = false
    return feed.watch((state) => {
      if (state.kind === 'live' && lost) setCount((n) => n + 1)
      lost = state.kind === 'waiting' || state.kind === 'still' || (lost && state.kind !== 'live')
    })
  }, [feed])
  return count
}

/** True while what is on screen may be old: it is shown greyed. */
export const isStale = (state: FeedState): boolean => toldUntilMs(state) !== undefined

export function ConnectionBanner({ feed, state }: { feed: LiveFeed; state: FeedState }) {
  const now = useNow(250)
  if (state.kind === 'refused') {
    return (
      <div class="banner banner-bad" role="alert">
        <strong>No live updates.</strong> {state.detail} <code>{state.code}</code>
      </div>
    )
  }
  if (state.kind === 'still') {
    return (
      <div class="banner banner-warn" role="alert" aria-label="Live data stands still">
        <span>
          <strong>
            Live data has stood still since <Clock at={state.sinceMs} now={now} />
          </strong>
          : {state.detail}. History still works, and this page goes on by itself when it moves
          again.
        </span>
      </div>
    )
  }
  if (!isStale(state) || state.kind === 'live' || state.kind === 'closed') return null
  const seconds =
    state.kind === 'waiting' ? Math.max(0, Math.ceil((state.retryAtMs - now) / 1000)) : 0
  return (
    <div class="banner banner-warn" role="alert" aria-label="Connection lost">
      <span>
        <strong>Connection lost.</strong> What you see is as of{' '}
        <Clock at={state.lostAtMs ?? now} now={now} />. Nothing is lost: what was missed is fetched
        on return.
      </span>
      <span class="banner-act" aria-live="off">
        {state.kind === 'waiting' ? `Next try in ${seconds} s` : 'Trying now …'}
        <button type="button" class="button" onClick={() => feed.retryNow()}>
          Try now
        </button>
      </span>
    </div>
  )
}

const WORDS: Record<FeedState['kind'], string> = {
  live: 'Connected',
  still: 'Standing still',
  connecting: 'Connecting',
  waiting: 'Disconnected',
  refused: 'Not permitted',
  closed: 'Closed',
}

export function ConnectionWord({ state }: { state: FeedState }) {
  return (
    <span class={`connection connection-${state.kind}`} role="status">
      <span class="connection-mark" aria-hidden="true" />
      {WORDS[state.kind]}
    </span>
  )
}
