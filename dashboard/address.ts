/**
 * What is on screen, spelled in the part of the address after `#`, so that a pasted address opens
 * the same device, metric and span, and so that no server has to know our pages.
 *
 *   #/                               the fleet            ?q=pump&cursor=…&first=silent
 *   #/devices/pump-1                 one device           ?metric=temperature&span=1h
 *   #/devices/pump-1                 a fixed stretch      ?metric=temperature&from=…&to=…
 *   #key=…                           sign in once; taken out of the address at once
 */
import { isSpanName, type SpanName } from './series/span.ts'

/** Either the newest `span` that moves with the clock, or a fixed stretch of time. */
export type View =
  | { kind: 'follow'; span: SpanName }
  | { kind: 'fixed'; fromMs: number; toMs: number; span: SpanName }

/** In the order of ids, a page at a time; or those with a problem first. */
export type FleetRoute = { page: 'fleet'; query: string; cursor: string; silentFirst: boolean }
export type DeviceRoute = { page: 'device'; device: string; metric: string; view: View }
export type Route = FleetRoute | DeviceRoute | { page: 'unknown'; path: string }

export const FLEET: FleetRoute = { page: 'fleet', query: '', cursor: '', silentFirst: false }
/** Short enough that whoever opens a device for the first time sees it move. */
export const DEFAULT_SPAN: SpanName = '15m'

/** A device as it is first looked at. */
export const deviceRoute = (device: string): DeviceRoute => ({
  page: 'device',
  device,
  metric: '',
  view: { kind: 'follow', span: DEFAULT_SPAN },
})

export function parseRoute(hash: string): Route {
  const [path, search] = splitOnce(hash.replace(/^#/, ''), '?')
  const params = new URLSearchParams(search)
  if (path === '' || path === '/') {
    return {
      page: 'fleet',
      query: params.get('q') ?? '',
      cursor: params.get('cursor') ?? '',
      silentFirst: params.get('first') === 'silent',
    }
  }
  const device = /^\/devices\/([^/]+)$/.exec(path)?.[1]
  if (device === undefined) return { page: 'unknown', path }
  const id = decoded(device)
  if (id === undefined) return { page: 'unknown', path }
  return { page: 'device', device: id, metric: params.get('metric') ?? '', view: parseView(params) }
}

export function formatRoute(route: Route): string {
  switch (route.page) {
    case 'fleet':
      return withSearch('#/', {
        q: route.query,
        cursor: route.cursor,
        first: route.silentFirst ? 'silent' : '',
      })
    case 'device':
      return withSearch(`#/devices/${encodeURIComponent(route.device)}`, {
        metric: route.metric,
        ...viewParams(route.view),
      })
    case 'unknown':
      return `#${route.path}`
  }
}

/** The key of `#key=…`, as `npm start` prints it, or undefined. */
export function keyInHash(hash: string): string | undefined {
  if (!hash.startsWith('#key=')) return undefined
  return new URLSearchParams(hash.slice(1)).get('key') ?? undefined
}

function parseView(params: URLSearchParams): View {
  const asked = params.get('span') ?? ''
  const span = isSpanName(asked) ? asked : DEFAULT_SPAN
  const fromMs = wholeNumber(params.get('from'))
  const toMs = wholeNumber(params.get('to'))
  if (fromMs === undefined || toMs === undefined || fromMs >= toMs) return { kind: 'follow', span }
  return { kind: 'fixed', fromMs, toMs, span }
}

function viewParams(view: View): Record<string, string> {
  const span = view.span === DEFAULT_SPAN ? '' : view.span
  if (view.kind === 'follow') return { span }
  return { from: String(Math.round(view.fromMs)), to: String(Math.round(view.toMs)), span }
}

function withSearch(path: string, params: Record<string, string>): string {
  const said = Object.entries(params).filter(([, value]) => value !== '')
  return said.length === 0 ? path : `${path}?${new URLSearchParams(said).toString()}`
}

function splitOnce(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + mark.length)]
}

function wholeNumber(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
