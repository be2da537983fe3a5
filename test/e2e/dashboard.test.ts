/**
 * Walks a person's path through the dashboard in a real browser, on the real system: readings go in
 * by MQTT and must come out on screen. Elements are found by role and name, as a person (or a
 * screen reader) finds them. The canvas cannot be read, so what the chart shows is taken from the
 * line below it, which is computed from the very points that are drawn.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { connectAsync, type MqttClient } from 'mqtt'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { systemClock } from '../../platform/clock.ts'
import { packageRoot } from '../../platform/package-root.ts'
import type { Explanation } from '../../api/contract/explanation.ts'
import { eventually } from '../eventually.ts'
import { startSystem, type System } from '../system.ts'

const ROOT = packageRoot(import.meta.dirname)
const BUILT = join(ROOT, 'dist', 'dashboard')
const CHROMIUM = process.env['WEIR_CHROMIUM'] ?? '/usr/bin/chromium'
const FIRST_LOAD_BYTES_MAX = 150_000
const WINDOW_MS = 10_000
const DESKTOP = { width: 1280, height: 860 }
const PHONE = { width: 390, height: 844 }

const skip = existsSync(CHROMIUM) ? false : `no Chromium at ${CHROMIUM} (set WEIR_CHROMIUM)`

test('the first load stays below 150 kB compressed', async () => {
  await ensureBuilt()
  const html = await readFile(join(BUILT, 'index.html'), 'utf8')
  const files = [...html.matchAll(/(?:src|href)="\/([^"]+)"/g)].map(([, file]) => file ?? '')
  assert.ok(
    files.some((file) => file.endsWith('.js')) && files.some((file) => file.endsWith('.css')),
  )
  assert.doesNotMatch(html, /https?:\/\//, 'nothing comes from another host')
  assert.doesNotMatch(html, /<style|style=|<script(?![^>]*\bsrc=)/, 'nothing is inline')
  let bytes = gzipSync(html).length
  for (const file of files) bytes += gzipSync(await readFile(join(BUILT, file))).length
  assert.ok(bytes < FIRST_LOAD_BYTES_MAX, `${bytes} bytes`)
})

describe('the dashboard', { skip, concurrency: 1, timeout: 240_000 }, () => {
  let system: System
  let browser: Browser
  let context: BrowserContext
  let page: Page
  let pump: Device
  let images: string
  const errors: string[] = []

  before(async () => {
    await ensureBuilt()
    images = await imageFolder()
    system = await startSystem({
      options: { flushIntervalMs: '500', tickIntervalMs: '1000', liveSilenceMs: '5000' },
    })
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
    context = await browser.newContext({ viewport: DESKTOP, timezoneId: 'Europe/Berlin' })
    page = await context.newPage()
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text())
    })
    page.on('pageerror', (error) => errors.push(error.message))
  })
  after(async () => {
    await pump?.client.endAsync()
    await browser?.close()
    await system?.stop()
    if (images !== undefined && !images.startsWith(ROOT)) await rm(images, { recursive: true })
  })

  test('a wrong key is refused in words and stays in the field', async () => {
    await page.goto(system.apiUrl)
    await page.getByLabel('API key').fill('wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').getByText('This key is not known here').waitFor()
    assert.equal(await page.getByLabel('API key').inputValue(), 'wrong')
    await assertAccessible(page)
    // The browser itself logs the 401 that was asked for here.
    assert.deepEqual(
      errors.splice(0).filter((text) => !text.includes('401')),
      [],
    )
  })

  test('the address with the key signs in, and the key leaves the address', async () => {
    await page.goto('about:blank')
    await page.goto(`${system.apiUrl}/#key=${encodeURIComponent(system.apiKey)}`)
    await page.getByRole('heading', { name: 'Fleet' }).waitFor()
    assert.ok(!page.url().includes(system.apiKey))
    await page.getByRole('status').getByText('Connected').waitFor()
  })

  test('an empty fleet says what to paste, and fills by itself', async () => {
    await page.getByRole('heading', { name: 'No devices yet' }).waitFor()
    const { hostname, port } = new URL(system.mqttUrl)
    await page.getByText(`mosquitto_pub -h ${hostname} -p ${port} `).waitFor()
    await assertAccessible(page)
    pump = await createDevice(system, 'pump-1', 'Coolant pump')
    await pump.publish({ temperature: 43.5, running: true, mode: 'auto' })
    const row = page.getByRole('row', { name: /Coolant pump/ })
    await row.getByText('43.5').waitFor()
  })

  test('a new reading changes the value on screen without a reload', async () => {
    const row = page.getByRole('row', { name: /Coolant pump/ })
    await pump.publish({ temperature: 47.25, running: false, mode: 'manual' })
    await row.getByText('47.25').waitFor()
    await row.getByText('false').waitFor()
    await row.getByText('manual').waitFor()
    await row.getByText('live').waitFor()
  })

  test('the search asks the server, and is in the address', async () => {
    await createDevice(system, 'fan-1', 'مروحة المبنى').then(({ client }) => client.endAsync())
    await page.keyboard.press('/')
    await page.keyboard.type('nothing-like-it')
    await page.getByRole('heading', { name: /No device matches/ }).waitFor()
    await page.getByRole('searchbox').fill('FAN')
    await page.getByRole('row', { name: /مروحة/ }).waitFor()
    assert.match(page.url(), /q=FAN/)
    await page.getByRole('searchbox').fill('')
    await page.getByRole('row', { name: /Coolant pump/ }).waitFor()
  })

  test('Enter in the search opens the device where it is the only one, and else nothing', async () => {
    const search = page.getByRole('searchbox')
    await search.fill('1')
    await search.press('Enter')
    await page.waitForURL(/q=1/)
    await page.getByText('2 devices', { exact: true }).waitFor()
    assert.doesNotMatch(page.url(), /devices\//)
    // Typed and sent in one go: faster than the list follows.
    await search.fill('pump')
    await search.press('Enter')
    await page.getByRole('heading', { name: 'Coolant pump' }).waitFor()
    assert.match(page.url(), /#\/devices\/pump-1$/)
    await page.goto(`${system.apiUrl}/#/`)
    await page.getByRole('row', { name: /Coolant pump/ }).waitFor()
  })

  test('a gap in the history is counted as one, and drawn as one', async () => {
    await publishAll(pump, history(-70, -20))
    await publishAll(pump, history(-12, 0))
    await page.getByRole('link', { name: 'Coolant pump' }).click()
    await page.getByRole('heading', { name: 'Coolant pump' }).waitFor()
    await page.getByRole('link', { name: /temperature/ }).click()
    assert.match(page.url(), /\/devices\/pump-1\?.*metric=temperature/)
    await page.getByRole('button', { name: '15 min', exact: true, pressed: true }).waitFor()
    await page.getByRole('button', { name: '1 h', exact: true }).click()
    await chartNote(page, /10 s windows/)
    await chartNote(page, /1 gap, 7 min/)
  })

  test('of a gap that begins before the span only what is on screen counts', async () => {
    const note = page.getByRole('group', { name: 'About this chart' })
    await page.getByRole('button', { name: '15 min', exact: true }).click()
    await note.getByText(/1 gap, [23] min/).waitFor()
    await page.getByRole('button', { name: '1 h', exact: true }).click()
    await chartNote(page, /1 gap, 7 min/)
  })

  test('the button + holds the present at the right edge while the chart follows', async () => {
    await page.getByText('Following live').waitFor()
    await page.getByRole('button', { name: 'Zoom in' }).click()
    await page.waitForURL(/from=\d+&to=\d+/)
    const [, from, to] = /from=(\d+)&to=(\d+)/.exec(page.url()) ?? []
    const lengthMs = Number(to) - Number(from)
    assert.ok(Math.abs(lengthMs - 1_800_000) < 10, `${lengthMs}`)
    assert.ok(Math.abs(systemClock.nowMs() - Number(to)) < 30_000, `to ${to}`)
    await page.getByRole('button', { name: 'Back to live' }).click()
    await page.getByText('Following live').waitFor()
  })

  test('a late reading corrects the window that it belongs to', async () => {
    const lateMs = windowStart(-5 * 60_000) + 3333
    await pump.publish({ ts: lateMs, values: { temperature: 58.5 } })
    await chartNote(page, /[1-9]\d* corrected while you watched/)
  })

  test('"Why this number?" lays a corrected window open: samples, rows, and that they agree', async () => {
    const startMs = windowStart(-6 * 60_000)
    await pump.publish({ ts: startMs + 1234, values: { temperature: 57.125 } })
    const query = `metric=temperature&resolution=10s&start=${startMs}`
    await eventually('the correction is stored', async () => {
      const headers = { authorization: `Bearer ${system.apiKey}` }
      const answer = await fetch(`${system.apiUrl}/v1/devices/pump-1/explain?${query}`, { headers })
      const { verdict, samples } = (await answer.json()) as Explanation
      const stored = verdict === 'equal' && samples.some(({ value }) => value === 57.125)
      return stored || undefined
    })
    // The window stands in the middle of the chart.
    const around = `from=${startMs - 195_000}&to=${startMs + 205_000}`
    await page.goto(`${system.apiUrl}/#/devices/pump-1?metric=temperature&${around}&span=1h`)
    await chartNote(page, /[1-9]\d* corrected$/)
    const chart = page.getByRole('application', { name: /temperature over time, 10 s/ })
    await chart.locator('.u-over').click()
    const panel = page.getByRole('region', { name: 'Why this number?' })
    await panel.getByText('The newest stored row is what its samples add up to.').waitFor()
    await panel.getByText('final, corrected').first().waitFor()
    await panel.getByRole('cell', { name: '57.125' }).first().waitFor()
    await page.getByText('corrected', { exact: true }).first().waitFor()
    await assertAccessible(page)
    await page.screenshot({ path: join(images, 'explanation.png'), fullPage: true })
    await page.keyboard.press('Escape')
    await panel.waitFor({ state: 'hidden' })
    await page.getByRole('button', { name: 'band: min to max' }).click()
    await page.getByRole('button', { name: 'band: ± deviation' }).click()
    await page.getByRole('button', { name: 'Back to live' }).click()
    await page.getByText('Following live').waitFor()
    await chartNote(page, /10 s windows/)
  })

  test('a correction far behind is redrawn too where the feed has no windows of that length', async () => {
    await page.getByRole('button', { name: '7 d', exact: true }).click()
    await chartNote(page, /[1-9]\d* × 15 min windows/)
    await pump.publish({ ts: windowStart(-65 * 60_000) + 4444, values: { temperature: 41.5 } })
    await chartNote(page, /[1-9]\d* corrected while you watched/)
    await page.getByRole('button', { name: '1 h', exact: true }).click()
    await chartNote(page, /10 s windows/)
  })

  test('zooming leaves live, keeps the span in the address, and "Back to live" returns', async () => {
    const chart = page.getByRole('application', { name: /temperature over time/ })
    await chart.hover()
    await page.mouse.wheel(0, -400)
    await page.getByRole('button', { name: 'Back to live' }).waitFor()
    await page.waitForURL(/from=\d+&to=\d+/)
    const address = page.url()
    await page.reload()
    await page.getByRole('button', { name: 'Back to live' }).waitFor()
    assert.equal(page.url(), address)
    await page.getByRole('button', { name: 'Back to live' }).click()
    await page.getByText('Following live').waitFor()
    await chart.dblclick()
    await page.getByRole('button', { name: '15 min', exact: true }).click()
    assert.doesNotMatch(page.url(), /span=|from=/)
    await page.keyboard.press(']')
    await page.getByRole('button', { name: '1 h', exact: true, pressed: true }).waitFor()
  })

  test('zoomed in far enough, the readings themselves are drawn, and 0 resets', async () => {
    const chart = page.getByRole('application', { name: /temperature over time/ })
    await chart.focus()
    for (let presses = 0; presses < 4; presses++) await page.keyboard.press('+')
    await chartNote(page, /[1-9]\d* × raw readings/)
    await page.keyboard.press('ArrowLeft')
    await page.getByRole('button', { name: 'Back to live' }).waitFor()
    await page.keyboard.press('0')
    await page.getByText('Following live').waitFor()
    await chartNote(page, /10 s windows/)
  })

  test('the readings can be copied as CSV, with times in UTC', async () => {
    await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.getByRole('button', { name: 'Copy as CSV' }).click()
    await page.getByRole('button', { name: 'Copied' }).waitFor()
    const csv = await page.evaluate<string>('navigator.clipboard.readText()')
    const [header, ...rows] = csv.trimEnd().split('\r\n')
    assert.equal(header, 'at,temperature')
    assert.ok(rows.length > 100)
    for (const row of rows) assert.match(row, /^\d{4}-\d\d-\d\dT[\d:.]+Z,-?\d+(\.\d+)?$/)
  })

  test('text and booleans are shown as what they are', async () => {
    await page.getByRole('link', { name: /^mode/ }).click()
    const said = page.getByRole('region', { name: /What it said/ })
    await said.getByRole('cell', { name: 'manual' }).waitFor()
    await page.getByRole('link', { name: /^running/ }).click()
    await page.getByRole('application', { name: /running over time/ }).waitFor()
    await page.getByRole('link', { name: /^temperature/ }).click()
    await chartNote(page, /1 gap/)
  })

  test('the keys are listed by ? and Escape closes the list', async () => {
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await assertAccessible(page)
    await page.keyboard.press('Escape')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'hidden' })
  })

  test('nothing is inaccessible, too wide or logged as an error, light or dark, wide or narrow', async () => {
    const device = page.url()
    const shots = [
      { address: `${system.apiUrl}/#/`, size: DESKTOP, scheme: 'light', name: 'fleet' },
      { address: device, size: DESKTOP, scheme: 'light', name: 'device' },
      { address: device, size: DESKTOP, scheme: 'dark', name: 'device-dark' },
      { address: `${system.apiUrl}/#/`, size: PHONE, scheme: 'dark', name: 'fleet-phone-dark' },
      { address: device, size: PHONE, scheme: 'light', name: 'device-phone' },
    ] as const
    await pump.publish({ temperature: 48.2, running: true, mode: 'auto' })
    await furnish(system)
    for (const { address, size, scheme, name } of shots) {
      await page.emulateMedia({ colorScheme: scheme })
      await page.setViewportSize(size)
      await page.goto(address)
      await page.getByRole('main').getByText('temperature').first().waitFor()
      await page.getByRole('status').getByText('Connected').waitFor()
      if (address === device) await chartNote(page, /gap/)
      await assertAccessible(page)
      const width = await page.evaluate<number>('document.documentElement.scrollWidth')
      assert.ok(width <= size.width, `${name} is ${width} wide`)
      await page.mouse.move(0, 0)
      await page.screenshot({ path: join(images, `${name}.png`) })
    }
    await page.emulateMedia({ colorScheme: 'light' })
    await page.setViewportSize(DESKTOP)
    assert.deepEqual(errors, [])
  })

  test('a killed api is seen as a banner, and what was missed is on screen after it', async () => {
    const back = system.kill('api')
    const banner = page.getByRole('alert', { name: 'Connection lost' })
    await banner.waitFor()
    // Nobody tells the dashboard of these: they fill the gap while it is away.
    await publishAll(pump, history(-20.2, -11.8))
    await pump.publish({ temperature: 33.125 })
    await back
    await banner.waitFor({ state: 'hidden' })
    await chartNote(page, /no gaps/)
    const readings = page.getByRole('region', { name: /Raw readings/ })
    await readings.getByRole('cell', { name: '33.125' }).first().waitFor()
    await page
      .getByRole('link', { name: /temperature/ })
      .getByText('33.125')
      .waitFor()
    // While the api is away the browser logs what it cannot reach: that is the banner's subject.
    const unexpected = errors.filter((text) => !/ERR_|WebSocket|50[23]/.test(text))
    assert.deepEqual(unexpected, [])
  })

  test('a log that stands still is said as that, and all recovers by itself', async () => {
    const pid = system.pidOf('pipeline')
    assert.ok(pid !== undefined)
    await page.getByRole('main').getByText('live', { exact: true }).waitFor()
    const banner = page.getByRole('alert', { name: 'Live data stands still' })
    process.kill(pid, 'SIGSTOP')
    try {
      await banner.getByText(/Live data has stood still since .*Kafka or the pipeline/).waitFor()
      await page.getByRole('status').getByText('Standing still').waitFor()
      await page.getByText('Live stands still', { exact: true }).waitFor()
      await page.getByRole('main').getByText('was live', { exact: true }).waitFor()
      await assertAccessible(page)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await banner.waitFor({ state: 'hidden' })
    await page.getByText('Following live').waitFor()
    await pump.publish({ temperature: 34.5 })
    const link = page.getByRole('link', { name: /temperature/ })
    await link.getByText('34.5').waitFor()
    await page.getByRole('main').getByText('live', { exact: true }).waitFor()
  })

  test('an unknown device says so, with the code', async () => {
    await page.goto(`${system.apiUrl}/#/devices/nobody`)
    await page.getByRole('alert').getByText('device_not_found').waitFor()
    await assertAccessible(page)
  })

  test('a fleet of more than one page is counted, paged and found again by its address', async () => {
    const ids = Array.from({ length: 60 }, (_, i) => `meter-${String(i).padStart(3, '0')}`)
    await Promise.all(ids.map((id) => postDevice(system, { id })))
    await page.goto(`${system.apiUrl}/#/?q=meter`)
    await page.getByText('50 of 60 devices').waitFor()
    await page.getByRole('listitem').getByText('60 never heard').waitFor()
    await page.getByRole('button', { name: 'Next page' }).click()
    await page.getByRole('row', { name: /meter-059/ }).waitFor()
    assert.equal(await page.getByRole('row', { name: /meter-/ }).count(), 10)
    await page.reload()
    await page.getByRole('row', { name: /meter-059/ }).waitFor()
    await page.goBack()
    await page.getByRole('row', { name: /meter-000/ }).waitFor()
  })

  test('devices with a problem come first when asked for, and that is in the address', async () => {
    await page.goto(`${system.apiUrl}/#/`)
    await page.getByRole('button', { name: 'Silent first' }).click()
    assert.match(page.url(), /first=silent/)
    await page.getByRole('button', { name: 'Silent first', pressed: true }).waitFor()
    // By id the pump comes before the valve; but the valve was never heard, and the pump just now.
    await postDevice(system, { id: 'valve-9' })
    await pump.publish({ temperature: 40 })
    await page.reload()
    await page.getByRole('button', { name: 'Show 50 more' }).click()
    await page.getByRole('rowheader', { name: 'valve-9' }).waitFor()
    const names = await page.getByRole('rowheader').allInnerTexts()
    const placeOf = (name: string) => names.findIndex((text) => text.includes(name))
    assert.ok(placeOf('valve-9') < placeOf('Coolant pump'), names.join(', '))
    await assertAccessible(page)
  })

  test('signing out forgets the key', async () => {
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('API key').waitFor()
    assert.equal(await page.evaluate<number>('sessionStorage.length'), 0)
  })
})

type Device = { client: MqttClient; publish: (payload: unknown) => Promise<unknown> }

async function postDevice(system: System, device: { id: string; name?: string }) {
  const answer = await fetch(`${system.apiUrl}/v1/devices`, {
    method: 'POST',
    headers: { authorization: `Bearer ${system.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(device),
  })
  assert.equal(answer.status, 201)
  return answer
}

async function createDevice(system: System, id: string, name: string): Promise<Device> {
  const answer = await postDevice(system, name === '' ? { id } : { id, name })
  // The contract's CreatedDevice.
  const created = (await answer.json()) as { credential: { username: string; secret: string } }
  const { username, secret: password } = created.credential
  const client = await connectAsync(system.mqttUrl, { username, password, protocolVersion: 4 })
  const publish = (payload: unknown) =>
    client.publishAsync('t', JSON.stringify(payload), { qos: 1 })
  return { client, publish }
}

/** A fleet to look at, with names that are awkward to show. */
async function furnish(system: System): Promise<void> {
  const names = ['Boiler room', 'North gate', 'Cold store 2', 'Quencher '.repeat(12).trim(), '']
  for (const [i, name] of names.entries()) {
    const { client, publish } = await createDevice(system, `site-a-${i}`, name)
    await publish({ temperature: 18.4 + i, humidity: 41.5 - i, battery: 3.61, door_open: i === 1 })
    await client.endAsync()
  }
}

const windowStart = (offsetMs: number): number =>
  Math.floor((systemClock.nowMs() + offsetMs) / WINDOW_MS) * WINDOW_MS

/** A sample a second from so many minutes ago to so many minutes ago. */
function history(fromMin: number, toMin: number): unknown[] {
  const samples: unknown[] = []
  const endMs = systemClock.nowMs() + toMin * 60_000
  for (let ts = windowStart(fromMin * 60_000) + 1; ts < endMs; ts += 1000) {
    const temperature =
      45 + 6 * Math.sin(ts / 400_000) + 1.5 * Math.sin(ts / 37_000) + Math.sin(ts * ts)
    samples.push({ ts, values: { temperature: Number(temperature.toFixed(3)) } })
  }
  return samples
}

async function publishAll(device: Device, samples: readonly unknown[]): Promise<void> {
  const each = 250
  for (let i = 0; i < samples.length; i += each) await device.publish(samples.slice(i, i + each))
}

const chartNote = (page: Page, text: RegExp): Promise<void> =>
  page.getByRole('group', { name: 'About this chart' }).getByText(text).waitFor()

async function assertAccessible(page: Page): Promise<void> {
  const file = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
  await page.evaluate(await readFile(file, 'utf8'))
  const violations = await page.evaluate(async () => {
    // axe puts itself on the window; its types are not needed for these two fields.
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> }
    }
    const result = await axe.run()
    return result.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
  })
  assert.deepEqual(violations, [])
}

async function ensureBuilt(): Promise<void> {
  if (existsSync(join(BUILT, 'index.html'))) return
  await build({ configFile: join(ROOT, 'dashboard', 'vite.config.ts'), logLevel: 'error' })
}

/** The docs show these pictures, but only who asks for it writes into the project. */
async function imageFolder(): Promise<string> {
  if (process.env['WEIR_UPDATE_SCREENSHOTS'] !== '1') return mkdtemp(join(tmpdir(), 'weir-shots-'))
  const folder = join(ROOT, 'docs', 'images')
  await mkdir(folder, { recursive: true })
  return folder
}
