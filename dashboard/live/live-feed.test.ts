import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { ServerMessage } from '../../api/contract/live.ts'
import { connectTo, type FeedServer, startFeedServer } from '../testing/feed-server.ts'
import {
  type FeedEvent,
  type FeedState,
  LiveFeed,
  type LiveFeedOptions,
  toldUntilMs,
} from './live-feed.ts'

/** A wait for something that never comes is a failed test, not a stuck one. */
const LIMIT = { timeout: 20_000 }
const READING = { device: 'd', metric: 'm', value: 1, at: 1000 }
const INTEREST = { stream: 'readings', devices: ['d'], metrics: ['*'] } as const

async function start(context: TestContext, options: Partial<LiveFeedOptions> = {}) {
  const server = await startFeedServer('good')
  const feed = new LiveFeed({
    key: 'good',
    connect: connectTo(() => server.port),
    nowMs: () => 1000,
    chance: () => 0,
    ...options,
  })
  context.after(async () => {
    feed.close()
    await server.stop()
  })
  return { server, feed }
}

const becomes = (feed: LiveFeed, kind: FeedState['kind']): Promise<void> =>
  new Promise((resolve) => {
    if (feed.state.kind === kind) return resolve()
    const stop = feed.watch((state) => {
      if (state.kind !== kind) return
      stop()
      resolve()
    })
  })

function listen(feed: LiveFeed): (kind: FeedEvent['kind']) => Promise<FeedEvent> {
  const heard: FeedEvent[] = []
  const wake = new Set<() => void>()
  feed.subscribe(INTEREST, (event) => {
    heard.push(event)
    for (const one of wake) one()
  })
  return async (kind) => {
    for (;;) {
      const at = heard.findIndex((event) => event.kind === kind)
      const [event] = at < 0 ? [] : heard.splice(at, 1)
      if (event !== undefined) return event
      await new Promise<void>((resolve) => wake.add(resolve))
    }
  }
}

const subscribed = async (server: FeedServer) => (await server.said('subscribe')).id

test(
  'the key goes in the first message, then snapshot and updates arrive',
  LIMIT,
  async (context) => {
    const { server, feed } = await start(context)
    server.snapshot = () => [READING]
    const next = listen(feed)
    feed.start()
    assert.deepEqual(await server.said('hello'), { type: 'hello', key: 'good' })
    const id = await subscribed(server)
    assert.deepEqual(await next('snapshot'), { kind: 'snapshot', items: [READING] })
    server.say({ type: 'update', id, cursor: '1', items: [{ ...READING, at: 2000 }] })
    assert.deepEqual(await next('update'), { kind: 'update', items: [{ ...READING, at: 2000 }] })
  },
)

test(
  'after a cut it comes back by itself with every subscription and a snapshot',
  LIMIT,
  async (context) => {
    const { server, feed } = await start(context)
    const next = listen(feed)
    feed.start()
    const first = await subscribed(server)
    await next('snapshot')
    const waiting = becomes(feed, 'waiting')
    server.cut()
    await waiting
    assert.ok(feed.state.kind === 'waiting' && feed.state.retryAtMs > feed.state.lostAtMs)
    server.snapshot = () => [READING]
    const second = await subscribed(server)
    assert.notEqual(second, first)
    assert.deepEqual(await next('snapshot'), { kind: 'snapshot', items: [READING] })
  },
)

test('"try now" does not wait for the countdown', LIMIT, async (context) => {
  const { server, feed } = await start(context)
  feed.start()
  await becomes(feed, 'live')
  const waiting = becomes(feed, 'waiting')
  server.cut()
  await waiting
  feed.retryNow()
  assert.equal(feed.state.kind, 'connecting')
  await becomes(feed, 'live')
})

test('a wrong key is said as refused and not tried again', LIMIT, async (context) => {
  const { server, feed } = await start(context, { key: 'bad' })
  feed.start()
  await becomes(feed, 'refused')
  assert.ok(feed.state.kind === 'refused')
  assert.equal(feed.state.code, 'unauthenticated')
  await server.said('hello')
})

test('a subscription that the server refuses tells its listener', LIMIT, async (context) => {
  const { server, feed } = await start(context)
  server.snapshot = undefined
  const next = listen(feed)
  feed.start()
  const id = await subscribed(server)
  server.say({ type: 'error', id, code: 'limit_exceeded', detail: 'Too many devices.' })
  assert.equal((await next('refused')).kind, 'refused')
  assert.equal(feed.state.kind, 'live')
})

test(
  'a silent connection is asked for life, and given up when none comes',
  LIMIT,
  async (context) => {
    const { server, feed } = await start(context, { silenceMs: 10, answerMs: 200 })
    const next = listen(feed)
    feed.start()
    await subscribed(server)
    await next('snapshot')
    await subscribed(server)
    await next('snapshot')
    assert.equal(feed.state.kind, 'live')
    server.snapshot = undefined
    await becomes(feed, 'waiting')
  },
)

test('an ended subscription hears nothing and the server is told', LIMIT, async (context) => {
  const { server, feed } = await start(context)
  let events = 0
  const end = feed.subscribe(INTEREST, () => events++)
  feed.start()
  const id = await subscribed(server)
  const before = events
  end()
  assert.equal((await server.said('unsubscribe')).id, id)
  const next = listen(feed)
  server.say({ type: 'update', id, cursor: '1', items: [READING] })
  await next('snapshot')
  assert.ok(events <= before + 1)
})

const STANDING = { flowing: false, sinceMs: 500, detail: 'nothing comes' } as const

test(
  'a feed that stands still is said as that, answers as before, and is live again by itself',
  LIMIT,
  async (context) => {
    const { server, feed } = await start(context)
    const kinds: string[] = []
    feed.watch(({ kind }) => kinds.push(kind))
    feed.start()
    await becomes(feed, 'live')
    server.say({ type: 'status', ...STANDING })
    await becomes(feed, 'still')
    assert.deepEqual(feed.state, { kind: 'still', sinceMs: 500, detail: 'nothing comes' })
    server.snapshot = () => [READING]
    const next = listen(feed)
    await subscribed(server)
    assert.deepEqual(await next('snapshot'), { kind: 'snapshot', items: [READING] })
    server.say({ type: 'status', flowing: true })
    await becomes(feed, 'live')
    assert.deepEqual(kinds, ['connecting', 'live', 'still', 'live'])
  },
)

test('a feed that stands still can be lost like any other', LIMIT, async (context) => {
  const { server, feed } = await start(context)
  feed.start()
  await becomes(feed, 'live')
  server.say({ type: 'status', ...STANDING })
  await becomes(feed, 'still')
  server.cut()
  await becomes(feed, 'waiting')
  assert.equal(toldUntilMs(feed.state), 500, 'what is on screen is not younger for it')
  feed.retryNow()
  await becomes(feed, 'live')
  assert.equal(toldUntilMs(feed.state), undefined)
})

test('a message of a type that is not known yet changes nothing', LIMIT, async (context) => {
  const { server, feed } = await start(context)
  const next = listen(feed)
  feed.start()
  await next('snapshot')
  // A later api may say more than this contract knows.
  server.say({ type: 'weather', id: '1', items: 7 } as unknown as ServerMessage)
  const id = await subscribed(server)
  server.say({ type: 'update', id, cursor: '1', items: [READING] })
  assert.equal((await next('update')).kind, 'update')
  assert.equal(feed.state.kind, 'live')
})
