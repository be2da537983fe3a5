/** Balance, least movement and independence of order, for any group that can exist. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { assignSticky, type GroupMember, type TopicPartition } from './sticky-assignment.ts'

const partitionsOf = (counts: Readonly<Record<string, number>>): TopicPartition[] =>
  Object.entries(counts).flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  )

const member = (instance: string, more: Partial<GroupMember> = {}): GroupMember => ({
  id: `id-of-${instance}`,
  instance,
  topics: ['a', 'b', 'c'],
  generation: 0,
  holds: [],
  ...more,
})

const named = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`
type Assigned = ReadonlyMap<string, readonly TopicPartition[]>

const ownerOf = (assigned: Assigned): Map<string, string> =>
  new Map([...assigned].flatMap(([id, places]) => places.map((place) => [named(place), id])))

/** The members as they join the next time: with what they were given. */
const holding = (members: readonly GroupMember[], assigned: Assigned): GroupMember[] =>
  members.map((each) => ({ ...each, generation: 1, holds: assigned.get(each.id) ?? [] }))

const group = fc
  .record({
    instances: fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), {
      minLength: 1,
      maxLength: 9,
    }),
    a: fc.integer({ min: 0, max: 40 }),
    b: fc.integer({ min: 0, max: 12 }),
    c: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ instances, ...counts }) => ({
    members: instances.map((instance) => member(instance)),
    partitions: partitionsOf(counts),
  }))

/** A group whose members claim anything: twice, from other generations, and what does not exist. */
const wildGroup = group.chain(({ members, partitions }) =>
  fc.record({
    partitions: fc.constant(partitions),
    members: fc.tuple(
      ...members.map((each) =>
        fc.record({
          id: fc.constant(each.id),
          instance: fc.constant(each.instance),
          topics: fc.constant(each.topics),
          generation: fc.integer({ min: 0, max: 3 }),
          holds: fc.subarray([...partitions, { topic: 'gone', partition: 0 }]),
        }),
      ),
    ),
  }),
)

function assertFair(assigned: Assigned, partitions: readonly TopicPartition[]): void {
  const given = [...assigned.values()].flat().map(named)
  assert.deepEqual(given.toSorted(), partitions.map(named).toSorted())
  const floor = Math.floor(partitions.length / assigned.size)
  const ceil = Math.ceil(partitions.length / assigned.size)
  for (const places of assigned.values()) {
    assert(places.length === floor || places.length === ceil, `${places.length} of ${floor}`)
  }
}

describe('sticky assignment', () => {
  test('gives every partition to one member, and every member its fair share', () => {
    fc.assert(
      fc.property(wildGroup, ({ members, partitions }) => {
        assertFair(assignSticky(members, partitions), partitions)
      }),
    )
  })

  test('does not depend on the order in which members and partitions are listed', () => {
    const shuffled = wildGroup.chain(({ members, partitions }) =>
      fc.record({
        members: fc.constant(members),
        partitions: fc.constant(partitions),
        otherMembers: fc.shuffledSubarray(members, { minLength: members.length }),
        otherPartitions: fc.shuffledSubarray(partitions, { minLength: partitions.length }),
      }),
    )
    fc.assert(
      fc.property(shuffled, ({ members, partitions, otherMembers, otherPartitions }) => {
        const one = ownerOf(assignSticky(members, partitions))
        const two = ownerOf(assignSticky(otherMembers, otherPartitions))
        assert.deepEqual(one, two)
      }),
    )
  })

  test('moves as few partitions as a fair division allows', () => {
    fc.assert(
      fc.property(wildGroup, ({ members, partitions }) => {
        // Without contested claims, so that what each holds is plain.
        const seen = new Set<string>()
        const honest = members.map((each) => ({
          ...each,
          holds: each.holds.filter(
            (place) => place.topic !== 'gone' && !seen.has(named(place)) && seen.add(named(place)),
          ),
        }))
        const owner = ownerOf(assignSticky(honest, partitions))
        const held = honest.flatMap(({ id, holds }) => holds.map((place) => [named(place), id]))
        const stayed = held.filter(([place = '', id]) => owner.get(place) === id).length
        const floor = Math.floor(partitions.length / honest.length)
        const above = honest.filter(({ holds }) => holds.length > floor).length
        const most =
          honest.reduce((sum, { holds }) => sum + Math.min(holds.length, floor), 0) +
          Math.min(above, partitions.length % honest.length)
        assert.equal(stayed, most)
      }),
    )
  })

  test('takes partitions only for a member that joins', () => {
    fc.assert(
      fc.property(group, ({ members, partitions }) => {
        const before = assignSticky(members, partitions)
        const joined = member('a newcomer')
        const after = ownerOf(assignSticky([...holding(members, before), joined], partitions))
        for (const [place, id] of ownerOf(before)) {
          assert(after.get(place) === id || after.get(place) === joined.id, place)
        }
      }),
    )
  })

  test('moves only the partitions of a member that leaves', () => {
    fc.assert(
      fc.property(group, fc.nat(), ({ members, partitions }, nth) => {
        fc.pre(members.length > 1)
        const before = assignSticky(members, partitions)
        const gone = members[nth % members.length]
        const left = holding(members, before).filter(({ id }) => id !== gone?.id)
        const after = ownerOf(assignSticky(left, partitions))
        for (const [place, id] of ownerOf(before)) {
          if (id !== gone?.id) assert.equal(after.get(place), id, place)
        }
      }),
    )
  })

  test('is the same again when nobody came or went', () => {
    fc.assert(
      fc.property(group, ({ members, partitions }) => {
        const before = assignSticky(members, partitions)
        const after = assignSticky(holding(members, before), partitions)
        assert.deepEqual(ownerOf(after), ownerOf(before))
      }),
    )
  })

  test('a claim of an older generation loses to the newer one', () => {
    const place = { topic: 'a', partition: 0 }
    for (const [stale, current] of [
      ['x', 'y'],
      ['y', 'x'],
    ] as const) {
      // prettier-ignore
      const members = [
        member(stale, { generation: 3, holds: [place] }),
        member(current, { generation: 4, holds: [place] }),
      ]
      assert.equal(ownerOf(assignSticky(members, [place])).get('a/0'), `id-of-${current}`)
    }
  })

  test('a topic goes only to members that read it', () => {
    const old = member('old', { topics: ['a'] })
    const upgraded = member('upgraded', { topics: ['a', 'b'] })
    const owner = ownerOf(assignSticky([old, upgraded], partitionsOf({ a: 4, b: 3 })))
    for (const partition of [0, 1, 2]) assert.equal(owner.get(`b/${partition}`), upgraded.id)
    assert.equal([...owner.values()].filter((id) => id === old.id).length, 2)
    assert.deepEqual(assignSticky([old], partitionsOf({ b: 1 })).get(old.id), [])
  })

  test('without claims, members come to shares that are spread by chance, not by name', () => {
    const members = Array.from({ length: 4 }, (_, n) => member(`pipeline-${n}`))
    const owner = ownerOf(assignSticky(members, partitionsOf({ a: 64 })))
    const neighbours = Array.from({ length: 63 }, (_, n) => n).filter(
      (n) => owner.get(`a/${n}`) === owner.get(`a/${n + 1}`),
    )
    assert(neighbours.length > 4 && neighbours.length < 32, `${neighbours.length}`)
  })
})
