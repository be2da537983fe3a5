/** The codecs of a deployment's topics, once the registry has told the ids of its schemas. */
import {
  type AvroDecoder,
  type AvroEncoder,
  createAvroDecoder,
  createAvroEncoder,
  type SchemaFetch,
} from './avro-codec.ts'
import { SCHEMAS } from './registered-schemas.ts'
import type { Telemetry } from './telemetry.ts'
import { subjectOf } from './topics.ts'
import type { WindowUpdate } from './window-update.ts'
import { type WindowUpdateEncoder, WindowUpdateWriter } from './window-update-writer.ts'

type Values = { Telemetry: Telemetry; WindowUpdate: WindowUpdate }
type TopicOf<Name extends keyof Values> = Readonly<{ name: string; schema: Name }>

export type TopicCodecOptions = Readonly<{
  topicPrefix: string
  /** Registry ids by subject: one for every topic whose values have a schema. */
  ids: Readonly<Record<string, number>>
  /** Asked for schemas that other versions of Weir wrote with; without it they stay unknown. */
  fetchSchema?: SchemaFetch
}>

export class TopicCodecs {
  readonly #options: TopicCodecOptions

  constructor(options: TopicCodecOptions) {
    this.#options = options
  }

  encoder<Name extends keyof Values>(topic: TopicOf<Name>): AvroEncoder<Values[Name]> {
    return createAvroEncoder(SCHEMAS[topic.schema], this.#idOf(topic.name))
  }

  windowUpdates(topic: TopicOf<'WindowUpdate'>): WindowUpdateEncoder {
    return new WindowUpdateWriter(this.#idOf(topic.name))
  }

  decoder<Name extends keyof Values>(topic: TopicOf<Name>): AvroDecoder<Values[Name]> {
    const schema = SCHEMAS[topic.schema]
    const writers = new Map([[this.#idOf(topic.name), schema]])
    const { fetchSchema = async () => undefined } = this.#options
    return createAvroDecoder({ schema, writers, fetchSchema })
  }

  #idOf(topic: string): number {
    const subject = subjectOf(this.#options.topicPrefix + topic)
    const id = this.#options.ids[subject]
    if (id === undefined) throw new Error(`no schema id was given for ${subject}`)
    return id
  }
}
