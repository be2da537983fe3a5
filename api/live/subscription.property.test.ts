/** A subscription never loses the newest state of a key, whatever is offered and sent between. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { FeedItem } from './feed-item.ts'
import { Subscription } from './subscription.ts'

type Action =
  | Readonly<{ kind: 'offer'; metric: string }>
  | Readonly<{ kind: 'send' }>
  | Readonly<{ kind: 'conflate' }>
  | Readonly<{ kind: 'again' }>

const actions = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')
        .map((metric): Action => ({ kind: 'offer', metric })),
    },
    { weight: 3, arbitrary: fc.constant<Action>({ kind: 'send' }) },
    { weight: 1, arbitrary: fc.constant<Action>({ kind: 'conflate' }) },
    { weight: 1, arbitrary: fc.constant<Action>({ kind: 'again' }) },
  ),
  { maxLength: 120 },
)

it('what was sent and what is true agree once all is sent, in order and in bounded memory', () => {
  const property = fc.property(actions, fc.integer({ min: 1, max: 4 }), (script, itemsMax) => {
    const truth = new Map<string, FeedItem>()
    const seen = new Map<string, number>()
    const bounds = { stepsMax: 6, pendingMax: 5, bytesMax: 2_500 }
    const all = {
      id: 's',
      stream: 'readings',
      devices: '*',
      metrics: '*',
      resolution: undefined,
    } as const
    const subscription = new Subscription(all, bounds)
    let at = 0

    function send(): boolean {
      const frame = subscription.nextFrame({ itemsMax, bytesMax: 700 }, () => [...truth.values()])
      if (frame === undefined) return false
      assert.ok(frame.items.length <= itemsMax)
      if (frame.type === 'snapshot') seen.clear()
      for (const { metric, order } of frame.items) {
        assert.ok(order > (seen.get(metric) ?? -1), 'no step backwards, none twice')
        seen.set(metric, order)
      }
      return true
    }

    for (const action of script) {
      if (action.kind === 'offer') {
        at += 1
        const body = { device: 'd', metric: action.metric, at, value: at }
        const item = new FeedItem(action.metric, at, body)
        truth.set(action.metric, item)
        subscription.offer(item)
      } else if (action.kind === 'send') send()
      else if (action.kind === 'conflate') subscription.conflate()
      else subscription.startAgain()
    }
    while (send());
    assert.equal(subscription.hasWork, false)
    // What came before a snapshot that is still to come is in it; without one, all was sent.
    for (const [metric, item] of truth) assert.equal(seen.get(metric), item.order)
  })
  fc.assert(property, { numRuns: 500 })
})

it('keeps every step while the reader keeps up', () => {
  const interest = {
    id: 's',
    stream: 'readings',
    devices: '*',
    metrics: '*',
    resolution: undefined,
  } as const
  const subscription = new Subscription(interest, { stepsMax: 10, pendingMax: 10, bytesMax: 1e6 })
  for (let at = 0; at < 10; at++) {
    assert.equal(
      subscription.offer(new FeedItem('m', at, { device: 'd', metric: 'm', at, value: at })),
      false,
    )
  }
  const frame = subscription.nextFrame({ itemsMax: 100, bytesMax: 1e6 }, () => [])
  assert.deepEqual(
    frame?.items.map((item) => item.order),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  )
})
