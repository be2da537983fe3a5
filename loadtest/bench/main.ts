/** `weir bench`: what a million records cost, and how long a person waits. */
import { commandOfCommands } from '../../platform/lifecycle/command-with-options.ts'
import { benchCatchupCommand } from './bench-catchup.ts'
import { benchLatencyCommand } from './bench-latency.ts'
import { benchLiveCommand } from './bench-live.ts'
import { benchMemoryCommand } from './bench-memory.ts'
import { benchMqttCommand } from './bench-mqtt.ts'
import { benchKafkaReadCommand, benchReprocessCommand } from './bench-program.ts'
import { benchRollupCommand } from './bench-rollup.ts'
import { benchStartCommand } from './bench-start.ts'

export const benchCommand = commandOfCommands({
  name: 'bench',
  summary: 'measures CPU seconds per million messages, latency and start-up',
  commands: {
    mqtt: benchMqttCommand,
    rollup: benchRollupCommand,
    catchup: benchCatchupCommand,
    latency: benchLatencyCommand,
    memory: benchMemoryCommand,
    live: benchLiveCommand,
    start: benchStartCommand,
    reprocess: benchReprocessCommand,
    'kafka-read': benchKafkaReadCommand,
  },
})
