/**
 * Creates devices through the public api and keeps their secrets, which the api tells only once.
 * A device that exists and whose secret is unknown here is deleted and created again.
 */
import { Failure } from '../platform/failure.ts'
import { forEachLimited } from '../platform/flow/limit-concurrency.ts'
import { JsonFile } from './json-file.ts'

export type Credential = Readonly<{ username: string; secret: string }>
export type NamedDevice = Readonly<{ id: string; name: string }>
type Kept = Record<string, Credential>

/** Requests at one time: enough to be quick, too few to be felt. */
const REQUESTS_MAX = 8

export class DeviceAccounts {
  readonly #api: Readonly<{ url: string; key: string }>
  readonly #file: JsonFile<Kept> | undefined
  readonly #kept: Kept

  /** Without a file the secrets are forgotten with this object. */
  constructor(api: Readonly<{ url: string; key: string }>, secretsFile: string | undefined) {
    this.#api = api
    this.#file = secretsFile === undefined ? undefined : new JsonFile(secretsFile, isKept)
    this.#kept = this.#file?.read() ?? {}
  }

  /** Every device has a credential afterwards. */
  async ensure(devices: readonly NamedDevice[]): Promise<ReadonlyMap<string, Credential>> {
    const missing = devices.filter(({ id }) => this.#kept[id] === undefined)
    await forEachLimited(REQUESTS_MAX, missing, async (device) => {
      this.#kept[device.id] = await this.#create(device)
    })
    if (missing.length > 0) this.#file?.write(this.#kept)
    return new Map(Object.entries(this.#kept))
  }

  /** A credential that the server refused is worthless: makes the device anew. */
  async renew(device: NamedDevice): Promise<Credential> {
    const credential = await this.#create(device)
    this.#kept[device.id] = credential
    this.#file?.write(this.#kept)
    return credential
  }

  async #create({ id, name }: NamedDevice): Promise<Credential> {
    const body = JSON.stringify({ id, name })
    let answer = await this.#request('POST', '/v1/devices', body)
    if (answer.status === 409) {
      await this.#request('DELETE', `/v1/devices/${encodeURIComponent(id)}`)
      answer = await this.#request('POST', '/v1/devices', body)
    }
    const credential = credentialIn(answer.json)
    if (answer.status === 201 && credential !== undefined) return credential
    throw new Failure('unavailable', `the api did not create device ${id}: ${answer.status}`)
  }

  async #request(
    method: string,
    path: string,
    body?: string,
  ): Promise<Readonly<{ status: number; json: unknown }>> {
    const url = new URL(path, this.#api.url)
    const response = await fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${this.#api.key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body }),
    }).catch((cause: unknown) => {
      throw new Failure('unavailable', `the api does not answer at ${url.origin}`, { cause })
    })
    const text = await response.text()
    return { status: response.status, json: text === '' ? undefined : parsed(text) }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

function isCredential(value: unknown): value is Credential {
  return (
    isObject(value) && typeof value['username'] === 'string' && typeof value['secret'] === 'string'
  )
}

const isKept = (value: unknown): value is Kept =>
  isObject(value) && Object.values(value).every(isCredential)

function credentialIn(json: unknown): Credential | undefined {
  const credential = isObject(json) ? json['credential'] : undefined
  return isCredential(credential) ? credential : undefined
}
