/** The topics a device may publish telemetry to. The session says whose it is, not the topic. */

/** Weir's own, and ThingsBoard's name for the same. */
export const TELEMETRY_TOPICS: ReadonlySet<string> = new Set(['t', 'v1/devices/me/telemetry'])

const TOPIC_CHARS_SHOWN = 200

/** Why a topic is refused, for the dead letter. */
export function unknownTopicDetail(topic: string): string {
  return `topic ${JSON.stringify(topic.slice(0, TOPIC_CHARS_SHOWN))} is not offered`
}
