/** What a consumer knows of one partition, whether it is its own or was. */
export type PartitionReading = {
  readonly topic: string
  readonly partition: number
  epoch: number
  mine: boolean
  /** The owner has said where to read from. */
  ready: boolean
  /** The owner is still taking a batch that kafkajs no longer waits for, or bytes were bad. */
  resting: boolean
  pausedByOwner: boolean
  /** `position` is where this ownership has got to: it was ready before, if not at the moment. */
  placed: boolean
  /** The next offset to hand out. */
  position: number
  /** Where the last fetch did not go on by one: from the offset that was due to the one that came. */
  steps: ReadonlyMap<number, number>
  /** Time of the newest record that was handed out; 0 before the first. */
  newestMs: number
  /** How often in a row the bytes at `position` were not what Kafka stored. */
  badFetches: number
  /** Settles when the owner has taken what it was handed. */
  work: Promise<void>
}

export function newReading(topic: string, partition: number): PartitionReading {
  return {
    topic,
    partition,
    epoch: 0,
    mine: false,
    ready: false,
    resting: false,
    pausedByOwner: false,
    placed: false,
    position: 0,
    steps: new Map(),
    newestMs: 0,
    badFetches: 0,
    work: Promise.resolve(),
  }
}

/** Whether a batch of it may be handed out. */
export const flows = ({ mine, ready, resting, pausedByOwner }: PartitionReading): boolean =>
  mine && ready && !resting && !pausedByOwner
