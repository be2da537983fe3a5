/**
 * The secrets of a local deployment: made once, kept beside its data, readable by their owner only.
 * They belong to the data: with other secrets every stored credential would be void.
 */
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateApiKey } from '../devices/access/api-key-store.ts'
import { Failure } from '../platform/failure.ts'

export type LocalSecrets = Readonly<{
  /** Device secrets and API keys are stored as hashes under this key. */
  credentialKey: string
  /** The key of the demo tenant. */
  apiKey: string
  postgresPassword: string
}>

/** Rejects with config_invalid when the file is there but damaged: new secrets would void the data. */
export async function localSecrets(stateDir: string): Promise<LocalSecrets> {
  const file = join(stateDir, 'secrets.json')
  const text = await readIfThere(file)
  if (text !== undefined) return parsed(file, text)
  const secrets: LocalSecrets = {
    credentialKey: randomBytes(32).toString('hex'),
    apiKey: generateApiKey(),
    postgresPassword: randomBytes(18).toString('base64url'),
  }
  await mkdir(stateDir, { recursive: true })
  await writeFile(`${file}.half`, `${JSON.stringify(secrets, undefined, 2)}\n`, { mode: 0o600 })
  await chmod(`${file}.half`, 0o600)
  await rename(`${file}.half`, file)
  return secrets
}

/** Rejects when the file is there but cannot be read: new secrets must not take its place. */
async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function parsed(file: string, text: string): LocalSecrets {
  try {
    const json: unknown = JSON.parse(text)
    if (typeof json === 'object' && json !== null && 'credentialKey' in json && 'apiKey' in json) {
      const { credentialKey, apiKey } = json
      const postgresPassword = 'postgresPassword' in json ? json.postgresPassword : undefined
      if (isText(credentialKey) && isText(apiKey) && isText(postgresPassword)) {
        return { credentialKey, apiKey, postgresPassword }
      }
    }
  } catch {
    // Not JSON: the sentence below holds for that as well.
  }
  throw new Failure(
    'config_invalid',
    `${file} is damaged: restore it, or delete the folder it lies in to begin without any data.`,
  )
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
