/**
 * Who reads which partition, as arithmetic: every member of a consumer group keeps what it has, up
 * to its fair share, and only what is left over moves. A moved partition costs its new owner the
 * replay of its open windows; a kept one costs nothing.
 *
 *   share       floor or ceil of partitions / members; the larger share goes to who holds more
 *   kept        of what a member holds, the partitions that rank highest for it
 *   left over   each to the member with room for which it ranks highest
 *
 * The rank is a hash of (member's instance, partition): rendezvous hashing, so that a group that
 * starts anew, or a leader that knows of no claims, comes to the same answer by itself. The answer
 * depends on nothing but the members, whatever their order.
 */

export type TopicPartition = Readonly<{ topic: string; partition: number }>

export type GroupMember = Readonly<{
  /** What the group calls it; changes when it has to join anew. */
  id: string
  /** What it calls itself for as long as it lives. */
  instance: string
  topics: readonly string[]
  /** What it holds, as of this generation of the group: the newer claim of two is the true one. */
  generation: number
  holds: readonly TopicPartition[]
}>

/** Partitions by member id. Every partition goes to exactly one member that reads its topic. */
export function assignSticky(
  members: readonly GroupMember[],
  partitions: readonly TopicPartition[],
): Map<string, TopicPartition[]> {
  const assigned = new Map<string, TopicPartition[]>(members.map(({ id }) => [id, []]))
  const inOrder = members.toSorted(
    (one, two) => compare(one.instance, two.instance) || compare(one.id, two.id),
  )
  // During a rolling upgrade some members read topics that others do not know yet.
  const byReaders = new Map<string, Share>()
  for (const place of partitions.toSorted(comparePlaces)) {
    const readers = inOrder.filter(({ topics }) => topics.includes(place.topic))
    if (readers.length === 0) continue
    const key = readers.map(({ id }) => id).join('\n')
    const share = byReaders.get(key) ?? { readers, places: [] }
    share.places.push(place)
    byReaders.set(key, share)
  }
  for (const share of byReaders.values()) {
    for (const [id, places] of divide(share)) assigned.get(id)?.push(...places)
  }
  return assigned
}

type Share = Readonly<{ readers: readonly GroupMember[]; places: TopicPartition[] }>

function divide({ readers, places }: Share): Map<string, TopicPartition[]> {
  const holder = holders(readers, places)
  const held = new Map(
    readers.map((reader) => [
      reader,
      places
        .filter((place) => holder.get(keyOf(place)) === reader)
        .toSorted((one, two) => rank(reader, two) - rank(reader, one) || comparePlaces(one, two)),
    ]),
  )
  const floor = Math.floor(places.length / readers.length)
  const larger = readers
    .toSorted((one, two) => (held.get(two)?.length ?? 0) - (held.get(one)?.length ?? 0))
    .slice(0, places.length % readers.length)
  const kept = new Map<GroupMember, TopicPartition[]>()
  const taken = new Set<string>()
  const shareOf = (reader: GroupMember): number => floor + (larger.includes(reader) ? 1 : 0)
  for (const reader of readers) {
    const keeps = (held.get(reader) ?? []).slice(0, shareOf(reader))
    kept.set(reader, keeps)
    for (const place of keeps) taken.add(keyOf(place))
  }
  for (const place of places) {
    if (taken.has(keyOf(place))) continue
    const withRoom = readers.filter((reader) => (kept.get(reader)?.length ?? 0) < shareOf(reader))
    const best = highest(withRoom, place)
    if (best !== undefined) kept.get(best)?.push(place)
  }
  return new Map(readers.map((reader) => [reader.id, kept.get(reader) ?? []]))
}

/** Of two members that claim a partition, the one whose claim is newer; else the higher rank. */
function holders(
  readers: readonly GroupMember[],
  places: readonly TopicPartition[],
): Map<string, GroupMember> {
  const known = new Map(places.map((place) => [keyOf(place), place]))
  const claims = new Map<string, GroupMember[]>()
  for (const reader of readers) {
    for (const key of new Set(reader.holds.map(keyOf))) {
      if (known.has(key)) claims.set(key, [...(claims.get(key) ?? []), reader])
    }
  }
  const holder = new Map<string, GroupMember>()
  for (const [key, place] of known) {
    const claimants = claims.get(key) ?? []
    const newest = Math.max(...claimants.map(({ generation }) => generation))
    const best = highest(
      claimants.filter(({ generation }) => generation === newest),
      place,
    )
    if (best !== undefined) holder.set(key, best)
  }
  return holder
}

function highest(members: readonly GroupMember[], place: TopicPartition): GroupMember | undefined {
  let best: GroupMember | undefined
  for (const member of members) {
    if (best === undefined || rank(member, place) > rank(best, place)) best = member
  }
  return best
}

/** FNV-1a over the text, and the finaliser of MurmurHash3 so that neighbours differ. */
function rank({ instance }: GroupMember, place: TopicPartition): number {
  let hash = 0x811c9dc5
  const text = `${instance}/${keyOf(place)}`
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

/** By code unit, the same on every machine; a locale would not be. */
const compare = (one: string, two: string): number => (one < two ? -1 : one > two ? 1 : 0)

const comparePlaces = (one: TopicPartition, two: TopicPartition): number =>
  compare(one.topic, two.topic) || one.partition - two.partition
