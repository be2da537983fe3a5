/** The topics of one deployment, ready to be created: names prefixed, counts chosen. */
import { TOPICS } from './topics.ts'

export type NamedTopicSpec = Readonly<{
  name: string
  partitions: number
  replicationFactor: number
  config: Readonly<Record<string, string>>
}>

/**
 * With three replicas or more a write is acknowledged by at least two, and no replica that lags
 * behind may ever lead: what was acknowledged stays. With fewer replicas there is no such promise.
 */
export function topicSpecs(
  prefix: string,
  partitions: number,
  replicationFactor: number,
): NamedTopicSpec[] {
  const replicaConfig = {
    'min.insync.replicas': replicationFactor >= 3 ? '2' : '1',
    'unclean.leader.election.enable': 'false',
  }
  return TOPICS.map(({ name, config }) => ({
    name: `${prefix}${name}`,
    partitions,
    replicationFactor,
    config: { ...replicaConfig, ...config },
  }))
}
