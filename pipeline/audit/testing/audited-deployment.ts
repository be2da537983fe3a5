/** Audits a test's deployment in this process. */
import { systemClock } from '../../../platform/clock.ts'
import { createAvroDecoder } from '../../../schemas/avro-codec.ts'
import { acceptedAgeMs, type Telemetry, TELEMETRY_SCHEMA } from '../../../schemas/telemetry.ts'
import { TelemetryFrames } from '../../../schemas/telemetry-frames.ts'
import type { Deployment } from '../../testing/stack-deployment.ts'
import { systemTimers } from '../../timers.ts'
import { type AuditRange, type AuditResult, runAudit } from '../audit-run.ts'
import { SHARES } from '../windows/series-sample.ts'

export async function auditOf(
  deployment: Deployment,
  range: Partial<AuditRange> & Pick<AuditRange, 'fromMs'>,
): Promise<AuditResult> {
  const admin = deployment.log.admin()
  const nowMs = systemClock.nowMs()
  const { encoder } = deployment
  const decoder = createAvroDecoder<Telemetry>({
    schema: TELEMETRY_SCHEMA,
    writers: new Map([[encoder.schemaId, TELEMETRY_SCHEMA]]),
    fetchSchema: async () => undefined,
  })
  try {
    return await runAudit(
      {
        log: deployment.log,
        admin,
        clickhouse: deployment.clickhouse,
        frames: new TelemetryFrames(decoder, encoder),
        decoder,
        timers: systemTimers,
        signal: new AbortController().signal,
      },
      {
        topicPrefix: deployment.prefix,
        toMs: nowMs + 1,
        nowMs,
        tenant: undefined,
        acceptedAgeMs: acceptedAgeMs({ rawRetentionDays: 400, logRetentionDays: 7 }),
        share: SHARES,
        seriesMin: 0,
        sliceSamples: 100,
        ...range,
      },
      () => {},
    )
  } finally {
    await admin.close()
  }
}
