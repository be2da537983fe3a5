/** The dashboard's door to the public API. Every outcome is a value, so every screen must show it. */
import type {
  About,
  Device,
  DeviceList,
  Latest,
  Problem,
  Readings,
  Resolution,
  Rollups,
  StoredResolution,
} from '../api/contract/resources.ts'
import type { Explanation } from '../api/contract/explanation.ts'
import type { Range } from './series/span.ts'

export type Answer<T> =
  | { kind: 'ok'; value: T }
  | { kind: 'problem'; problem: Problem }
  | { kind: 'unreachable'; detail: string }
  | { kind: 'aborted' }

export type ApiClient = {
  about(): Promise<Answer<About>>
  devices(options: { query: string; cursor: string; limit: number }): Promise<Answer<DeviceList>>
  device(id: string): Promise<Answer<Device>>
  latest(id: string): Promise<Answer<Latest>>
  readings(options: ReadingsOptions): Promise<Answer<Readings>>
  rollups(options: RollupsOptions): Promise<Answer<Rollups>>
  explain(options: ExplainOptions): Promise<Answer<Explanation>>
}

type Series = Readonly<{ device: string; metric: string; range: Range; signal?: AbortSignal }>
export type ReadingsOptions = Series & Readonly<{ limit: number; cursor?: string }>
export type RollupsOptions = Series & Readonly<{ resolution: Resolution }>
/** One window, by any time in it. */
export type ExplainOptions = Readonly<{
  device: string
  metric: string
  resolution: StoredResolution
  startMs: number
  limit: number
  signal?: AbortSignal
}>

export function createApiClient(origin: string, key: string): ApiClient {
  async function get<T>(
    path: string,
    params: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<Answer<T>> {
    const search = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== ''))
    try {
      const response = await fetch(`${origin}${path}?${search.toString()}`, {
        headers: { authorization: `Bearer ${key}`, accept: 'application/json' },
        ...(signal === undefined ? {} : { signal }),
      })
      if (!response.ok) return { kind: 'problem', problem: await problemOf(response) }
      // The other side is our own api and its contract: checked there, trusted here.
      return { kind: 'ok', value: (await response.json()) as T }
    } catch (error) {
      if (signal?.aborted === true) return { kind: 'aborted' }
      return { kind: 'unreachable', detail: error instanceof Error ? error.message : String(error) }
    }
  }

  const devicePath = (id: string, part = ''): string =>
    `/v1/devices/${encodeURIComponent(id)}${part}`
  const seriesParams = ({ metric, range }: Series): Record<string, string> => ({
    metric,
    from: String(Math.round(range.fromMs)),
    to: String(Math.round(range.toMs)),
  })

  return {
    about: () => get('/v1/about', {}),
    devices: ({ query, cursor, limit }) =>
      get('/v1/devices', { q: query, cursor, limit: String(limit), include: 'latest' }),
    device: (id) => get(devicePath(id), {}),
    latest: (id) => get(devicePath(id, '/latest'), {}),
    readings: (options) =>
      get(
        devicePath(options.device, '/readings'),
        { ...seriesParams(options), limit: String(options.limit), cursor: options.cursor ?? '' },
        options.signal,
      ),
    rollups: (options) =>
      get(
        devicePath(options.device, '/rollups'),
        { ...seriesParams(options), resolution: options.resolution },
        options.signal,
      ),
    explain: ({ device, metric, resolution, startMs, limit, signal }) =>
      get(
        devicePath(device, '/explain'),
        { metric, resolution, start: String(Math.round(startMs)), limit: String(limit) },
        signal,
      ),
  }
}

/** A proxy in front of the api answers in its own words: those become a problem without a code. */
async function problemOf(response: Response): Promise<Problem> {
  const plain = { type: 'about:blank', title: response.statusText, status: response.status }
  try {
    const said = (await response.json()) as Partial<Problem>
    return { code: '', detail: '', ...plain, ...said }
  } catch {
    return { ...plain, code: '', detail: `The server answered ${response.status}.` }
  }
}
