/** The route as state, read from the address and written to it. */
import { useEffect, useState } from 'preact/hooks'
import { formatRoute, parseRoute, type Route } from '../address.ts'

/** `replace` is for what moves all the time (a zoom, a search as it is typed): no step back each. */
export type Go = (route: Route, how?: 'push' | 'replace') => void

export function useRoute(): [Route, Go] {
  const [route, setRoute] = useState(() => parseRoute(location.hash))
  useEffect(() => {
    const onChange = () => setRoute(parseRoute(location.hash))
    addEventListener('hashchange', onChange)
    addEventListener('popstate', onChange)
    return () => {
      removeEventListener('hashchange', onChange)
      removeEventListener('popstate', onChange)
    }
  }, [])
  const go: Go = (next, how = 'push') => {
    if (how === 'push') history.pushState(null, '', formatRoute(next))
    else history.replaceState(null, '', formatRoute(next))
    setRoute(next)
  }
  return [route, go]
}
