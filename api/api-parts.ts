/** What the endpoints work with. The composition root builds it; a route never makes its own. */
import type { ApiKeyStore } from '../devices/access/api-key-store.ts'
import type { ChangeLog } from '../devices/access/change-log.ts'
import type { CredentialStore } from '../devices/credential-store.ts'
import type { DeviceStore } from '../devices/device-store.ts'
import type { Clock } from '../platform/clock.ts'
import type { AuditReader } from './audit/audit-reader.ts'
import type { About } from './contract/resources.ts'
import type { WindowEvidence } from './explain/window-evidence.ts'
import type { LatestValues } from './live/latest-values.ts'
import type { Retention } from './readings/retention.ts'
import type { RollupReader } from './readings/rollup-reader.ts'
import type { TelemetryReader } from './readings/telemetry-reader.ts'

export type ApiParts = Readonly<{
  clock: Clock
  about: About
  devices: DeviceStore
  credentials: CredentialStore
  keys: ApiKeyStore
  changes: ChangeLog
  telemetry: TelemetryReader
  retention: Retention
  rollups: RollupReader
  evidence: WindowEvidence
  audit: AuditReader
  /** The newest value of each series that the live stream has seen. */
  latest: LatestValues
}>
