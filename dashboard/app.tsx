/** The whole page: signed out it asks for a key, signed in it shows what the address says. */
import { useEffect, useMemo, useState } from 'preact/hooks'
import { FLEET, type Route } from './address.ts'
import { type ApiClient, createApiClient } from './api-client.ts'
import { nowMs } from './clock.ts'
import { DevicePage } from './device/device-page.tsx'
import { FleetPage } from './fleet/fleet-page.tsx'
import { LiveFeed, type Socket, type SocketEvents } from './live/live-feed.ts'
import { forgetKey, storedKey, storeKey } from './session.ts'
import { ConnectionBanner, isStale, useFeedState } from './shell/feed-state.tsx'
import { Header } from './shell/header.tsx'
import { KeysDialog, listenForKeys, useKeyCommand } from './shell/keys.tsx'
import { type Go, useRoute } from './shell/navigation.ts'
import { SignIn } from './shell/sign-in.tsx'

export function App() {
  const [key, setKey] = useState(storedKey)
  const signIn = (given: string) => {
    storeKey(given)
    setKey(given)
  }
  const signOut = () => {
    forgetKey()
    setKey('')
  }
  if (key === '') return <SignIn onKey={signIn} />
  return <SignedIn key={key} apiKey={key} onSignOut={signOut} />
}

function SignedIn({ apiKey, onSignOut }: { apiKey: string; onSignOut: () => void }) {
  const api = useMemo(() => createApiClient(location.origin, apiKey), [apiKey])
  const feed = useLiveFeed(apiKey)
  const feedState = useFeedState(feed)
  const [route, go] = useRoute()
  const [keysOpen, setKeysOpen] = useState(false)
  useEffect(listenForKeys, [])
  useKeyCommand((command) => {
    if (command === 'keys') setKeysOpen(true)
    if (command === 'fleet') go(FLEET)
    if (command === 'search') searchFleet(route, go)
  })

  return (
    <>
      <a class="skip" href="#main" onClick={skipToMain}>
        Skip to content
      </a>
      <Header
        feedState={feedState}
        onFleet={() => go(FLEET)}
        onKeys={() => setKeysOpen(true)}
        onSignOut={onSignOut}
      />
      <ConnectionBanner feed={feed} state={feedState} />
      <main id="main" tabIndex={-1} data-stale={isStale(feedState)}>
        <Page route={route} go={go} api={api} feed={feed} />
      </main>
      <KeysDialog open={keysOpen} onClose={() => setKeysOpen(false)} />
    </>
  )
}

type PageProps = { route: Route; go: Go; api: ApiClient; feed: LiveFeed }

function Page({ route, go, api, feed }: PageProps) {
  switch (route.page) {
    case 'fleet':
      return <FleetPage route={route} go={go} api={api} feed={feed} />
    case 'device':
      return <DevicePage key={route.device} route={route} go={go} api={api} feed={feed} />
    case 'unknown':
      return (
        <div class="notice">
          <h1>There is no such page</h1>
          <p>
            Nothing is at <code>{route.path}</code>. The address may be cut short.
          </p>
          <a class="button" href="#/">
            To the fleet
          </a>
        </div>
      )
  }
}

function useLiveFeed(key: string): LiveFeed {
  const feed = useMemo(
    () => new LiveFeed({ key, connect: connectSocket, nowMs, chance: Math.random }),
    [key],
  )
  useEffect(() => {
    const onOffline = () => feed.lost()
    const onOnline = () => feed.retryNow()
    addEventListener('offline', onOffline)
    addEventListener('online', onOnline)
    feed.start()
    return () => {
      removeEventListener('offline', onOffline)
      removeEventListener('online', onOnline)
      feed.close()
    }
  }, [feed])
  return feed
}

function connectSocket(events: SocketEvents): Socket {
  const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/v1/live`)
  socket.addEventListener('open', events.opened)
  socket.addEventListener('message', (event) => events.heard(event.data))
  socket.addEventListener('close', events.lost)
  return { send: (text) => socket.send(text), close: () => socket.close() }
}

function searchFleet(route: Route, go: Go): void {
  if (route.page !== 'fleet') go(FLEET)
  requestAnimationFrame(() => document.getElementById('search')?.focus())
}

/** The address belongs to the router, so the link moves the focus only. */
function skipToMain(event: Event): void {
  event.preventDefault()
  document.getElementById('main')?.focus()
}
