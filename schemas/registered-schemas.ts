/** The schemas that a deployment registers, by the subject of the topic whose values they describe. */
import type { AvroSchema } from './avro-codec.ts'
import { TELEMETRY_SCHEMA } from './telemetry.ts'
import { TOPICS, subjectOf } from './topics.ts'
import { WINDOW_UPDATE_SCHEMA } from './window-update.ts'

export const SCHEMAS = {
  Telemetry: TELEMETRY_SCHEMA,
  WindowUpdate: WINDOW_UPDATE_SCHEMA,
} as const satisfies Record<string, AvroSchema>

export type SubjectSchema = Readonly<{ subject: string; schema: AvroSchema }>

export function subjectSchemas(topicPrefix: string): SubjectSchema[] {
  return TOPICS.flatMap(({ name, schema }) =>
    schema === undefined
      ? []
      : [{ subject: subjectOf(`${topicPrefix}${name}`), schema: SCHEMAS[schema] }],
  )
}
